import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { access } from "node:fs/promises";
import { delay, type RunningCommand, type StartCommand } from "@peapod/kit";
import { makePipe, spawnInThread, waitStatus } from "./spawn.ts";

/** A started program, in a session of its own. */
export interface Program extends RunningCommand {
  readonly pid: number;
  readonly stdin: Socket;
  readonly stdout: Socket;
  readonly stderr: Socket;
  /** How it ended, once it has; its output may go on, from what it started. */
  readonly exited: Promise<{ readonly exitCode: number | null; readonly signal: NodeJS.Signals | null }>;
}

export interface ProgramOptions {
  /** Looked for on the PATH where it is a name. */
  readonly command: string;
  readonly args: readonly string[];
  /** Default: this process's own. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: "/". */
  readonly cwd?: string;
}

/**
 * Starts a program with pipes for its input and outputs; what `node:child_process` does, but the main thread does not wait for the kernel.
 * Throws an Error with `code` (`ENOENT`).
 */
export async function startProgram({ command, args, env = process.env, cwd = "/" }: ProgramOptions): Promise<Program> {
  const path = await findProgram(command, env["PATH"] ?? "");
  const pipes = { stdin: makePipe(), stdout: makePipe(), stderr: makePipe(), life: makePipe() };
  const theirs = [pipes.stdin.read, pipes.stdout.write, pipes.stderr.write, pipes.life.write];
  const ours = [pipes.stdin.write, pipes.stdout.read, pipes.stderr.read, pipes.life.read];
  const given = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  let pid: number;
  try {
    pid = await spawnInThread({ path, args, env: Object.fromEntries(given), cwd, fds: theirs });
  } catch (cause) {
    for (const fd of ours) closeSync(fd);
    throw cause;
  } finally {
    for (const fd of theirs) closeSync(fd);
  }
  const reading = (fd: number): Socket => new Socket({ fd, readable: true, writable: false });
  const child = new Child(pid, reading(pipes.life.read));
  const [stdout, stderr] = [reading(pipes.stdout.read), reading(pipes.stderr.read)];
  const stdin = new Socket({ fd: pipes.stdin.write, readable: false, writable: true });
  const closed = Promise.all([stdout, stderr].map(async (stream) => new Promise<void>((resolve) => void stream.once("close", resolve))));
  return {
    pid,
    stdin,
    stdout,
    stderr,
    exited: child.exited,
    ended: closed.then(async () => child.exited),
    kill: (signal) => child.kill(signal),
  };
}

/** `startProgram` for `run` of the kit: nothing that a command is run for makes the main thread wait. */
export const startInThread: StartCommand = async (command, args, { env, cwd }) =>
  await startProgram({ command, args, ...(env === undefined ? {} : { env }), ...(cwd === undefined ? {} : { cwd }) });

const POLL_LIMIT_MS = 20;

/** A child that nobody else waits for. It holds the other end of `life` until it has ended: Node has no other way to be told. */
class Child {
  readonly exited: Program["exited"];
  readonly #pid: number;
  readonly #life: Socket;
  #hasEnded = false;

  constructor(pid: number, life: Socket) {
    this.#pid = pid;
    this.#life = life;
    life.resume();
    life.on("error", () => {}); // it is closed then, too
    this.exited = this.#wait();
  }

  kill(signal: NodeJS.Signals): void {
    if (this.#hasEnded) return;
    process.kill(this.#pid, signal); // not reaped yet, so it is nobody else
    if (signal === "SIGKILL") this.#life.destroy(); // it ends now, whoever else holds the pipe
  }

  async #wait(): Program["exited"] {
    await new Promise<void>((resolve) => void this.#life.once("close", resolve));
    for (let waitMs = 0; ; waitMs = Math.min(waitMs + 1, POLL_LIMIT_MS)) {
      const status = waitStatus(this.#pid);
      if (status !== undefined) {
        this.#hasEnded = true;
        return fromStatus(status);
      }
      await delay(waitMs);
    }
  }
}

/** wait(2): the low seven bits are the signal, the next byte above the exit code. */
function fromStatus(status: number): Awaited<Program["exited"]> {
  const signal = status & 0x7f;
  if (signal === 0) return { exitCode: (status >> 8) & 0xff, signal: null };
  const name = Object.entries(constants.signals).find(([, value]) => value === signal)?.[0];
  return { exitCode: null, signal: (name ?? "SIGKILL") as NodeJS.Signals }; // the table's own names
}

async function findProgram(command: string, path: string): Promise<string> {
  if (command.includes("/")) return command;
  for (const folder of path.split(delimiter)) {
    try {
      await access(join(folder, command), 1); // X_OK
      return join(folder, command);
    } catch {
      // not here
    }
  }
  throw Object.assign(new Error(`ENOENT: no program "${command}" on the PATH`), { code: "ENOENT" });
}
