import { spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { startTimer, type Timer } from "./timers.ts";

/** What a finished command left behind. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly signal: AbortSignal;
  /** Written to the command's standard input, which is then closed; none: /dev/null. */
  readonly input?: string | Uint8Array;
  /** The whole environment; none: this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** SIGTERM after this time, SIGKILL two seconds later. None: no limit but the signal's. */
  readonly timeoutMs?: number;
  /** Kept of each output; what comes after is read and dropped. Default 1 MiB. */
  readonly limitBytes?: number;
  /** Called with each piece of standard error as it comes, for progress. */
  readonly onStderr?: (text: string) => void;
  /** How the command is started. Default: by `node:child_process`, which copies this process for it on the calling thread. */
  readonly start?: StartCommand;
}

/** A command that was started. */
export interface RunningCommand {
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** How it ended, once it has and its outputs are closed. Rejects where it could not be started. */
  readonly ended: Promise<{ readonly exitCode: number | null; readonly signal: NodeJS.Signals | null }>;
  kill(signal: NodeJS.Signals): void;
}

export type StartCommand = (
  command: string,
  args: readonly string[],
  options: Pick<CommandOptions, "input" | "env" | "cwd">,
) => RunningCommand | Promise<RunningCommand>;

/** A command that ended badly. `exitCode` is null when a signal ended it. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  constructor(message: string, facts: { exitCode: number | null; stdout: string; stderr: string }, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = facts.exitCode;
    this.stdout = facts.stdout;
    this.stderr = facts.stderr;
  }
}

const KILL_AFTER_MS = 2_000;

/**
 * Runs a command to its end and gives its output.
 * Throws a CommandError that names the command and the last of what it said when it cannot be started, exits with
 * anything but 0 or runs out of time; rejects with the signal's reason after ending it when the signal is aborted.
 */
export async function run(command: string, args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  options.signal.throwIfAborted();
  const child = await started(command, args, options);
  const limitBytes = options.limitBytes ?? 1024 * 1024;
  const stdout = collect(child.stdout, limitBytes);
  const stderr = collect(child.stderr, limitBytes, options.onStderr);
  child.stdin?.on("error", () => {}); // a command that does not read its input to the end says so by its exit code
  child.stdin?.end(options.input);

  let timedOut = false;
  let kill: Timer | undefined;
  const stop = (): void => {
    child.kill("SIGTERM");
    kill ??= startTimer(() => {
      child.kill("SIGKILL");
      for (const stream of [child.stdout, child.stderr]) stream?.destroy(); // its own children may hold them open for ever
    }, KILL_AFTER_MS);
  };
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : startTimer(() => {
          timedOut = true;
          stop();
        }, options.timeoutMs);
  options.signal.addEventListener("abort", stop, { once: true });
  if (options.signal.aborted) stop(); // while it was being started
  try {
    const { exitCode, signal } = await child.ended;
    if (exitCode === 0 && !timedOut) return { stdout: stdout(), stderr: stderr() };
    options.signal.throwIfAborted();
    const how = timedOut
      ? `did not end within ${options.timeoutMs} ms`
      : exitCode === null
        ? `was ended by ${signal}`
        : `exited with ${exitCode}`;
    const said = stderr().trim() || stdout().trim();
    throw new CommandError(`${command} ${how}${said === "" ? "" : `: ${lastLines(said)}`}`, {
      exitCode,
      stdout: stdout(),
      stderr: stderr(),
    });
  } catch (cause) {
    if (cause instanceof CommandError || options.signal.aborted) throw cause;
    throw new CommandError(`Cannot run ${command}`, { exitCode: null, stdout: stdout(), stderr: stderr() }, { cause });
  } finally {
    timer?.[Symbol.dispose]();
    kill?.[Symbol.dispose]();
    options.signal.removeEventListener("abort", stop);
  }
}

async function started(command: string, args: readonly string[], options: CommandOptions): Promise<RunningCommand> {
  try {
    return await (options.start ?? startChild)(command, args, options);
  } catch (cause) {
    throw new CommandError(`Cannot run ${command}`, { exitCode: null, stdout: "", stderr: "" }, { cause });
  }
}

function startChild(command: string, args: readonly string[], { input, env, cwd }: CommandOptions): RunningCommand {
  const child = spawn(command, args, {
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    ...(env === undefined ? {} : { env }),
    ...(cwd === undefined ? {} : { cwd }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<Awaited<RunningCommand["ended"]>>();
  child.once("error", reject);
  child.once("close", (exitCode, signal) => resolve({ exitCode, signal }));
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    ended: promise,
    kill: (signal) => void child.kill(signal),
  };
}

function collect(stream: Readable | null, limitBytes: number, onText?: (text: string) => void): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on("data", (chunk: Buffer) => {
    if (size < limitBytes) chunks.push(chunk.subarray(0, limitBytes - size));
    size += chunk.length;
    onText?.(chunk.toString("utf8"));
  });
  return () => Buffer.concat(chunks).toString("utf8");
}

function lastLines(text: string): string {
  return text.split("\n").slice(-4).join("; ").slice(-1000);
}
