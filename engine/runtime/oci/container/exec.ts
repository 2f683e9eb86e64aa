import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { contain } from "@peapod/kit";
import { EngineError } from "../../../errors.ts";
import { type Program, startProgram } from "../../../linux/program.ts";
import type { ExecOptions, ExecSession } from "../../runtime.ts";
import { bundleFiles } from "../monitor/conmon.ts";
import type { ContainerEntry } from "./container-entry.ts";
import type { ExecLaunch } from "./exec-launch.ts";
import { execWithTerminal } from "./exec-terminal.ts";
import { endCommandOf, endSession, EXEC_PREFIX } from "../monitor/left-execs.ts";
import type { OciProcess, OciSpec } from "../spec/oci-spec.ts";
import { readHead } from "../machine/read-head.ts";
import { cleanRuntimeError } from "../machine/runtime-command.ts";
import type { RuntimeContext } from "../runtime-context.ts";

/**
 * Starts a command in a running container, with the user, environment and rights of the container's own process.
 * Aborting `signal` kills it. A command that cannot be started says so on stderr and exits with 126 or 127, as in a shell.
 */
export async function execInContainer(
  context: RuntimeContext,
  entry: ContainerEntry,
  options: ExecOptions,
  signal: AbortSignal,
): Promise<ExecSession> {
  if (options.command.length === 0) throw new EngineError("CONTAINER_CONFIG_INVALID", "Cannot exec: the command is empty");
  const launch = prepareExec(context, entry, options);
  try {
    signal.throwIfAborted();
    return await (options.tty ? execWithTerminal(launch, options, signal) : execWithPipes(launch, options, signal));
  } catch (cause) {
    launch.end();
    throw cause;
  }
}

function prepareExec({ runtime, cgroups, log }: RuntimeContext, entry: ContainerEntry, { command, tty, size }: ExecOptions): ExecLaunch {
  const spec = JSON.parse(readFileSync(join(entry.bundle, bundleFiles.config), "utf8")) as OciSpec; // our own file
  const hasTerm = spec.process.env.some((variable) => variable.startsWith("TERM="));
  const ociProcess: OciProcess = {
    ...spec.process,
    args: command,
    terminal: tty,
    env: [...spec.process.env, ...(tty && !hasTerm ? ["TERM=xterm"] : [])],
    ...(tty && size !== undefined ? { consoleSize: { width: size.columns, height: size.rows } } : {}),
  };
  const base = join(entry.bundle, `${EXEC_PREFIX}${randomUUID()}`);
  const [processPath, pidPath, logPath] = [`${base}.json`, `${base}.pid`, `${base}.log`];
  writeFileSync(processPath, JSON.stringify(ociProcess), { mode: 0o600 });
  return {
    program: runtime.path,
    args: [
      "--root",
      runtime.root,
      "--log",
      logPath,
      "--log-format",
      "json",
      "exec",
      "--pid-file",
      pidPath,
      "--process",
      processPath,
      entry.record.id,
    ],
    pidPath,
    kill: contain(
      (runtimePid: number) => {
        const { bundle, processes, record } = entry;
        const place = { bundle, cgroupPath: record.cgroupPath, firstPid: processes?.container.pid };
        endCommandOf(cgroups, place, runtimePid);
        const leader = readHead(pidPath).trim();
        if (leader !== "") endSession(cgroups, place, Number(leader));
      },
      (error) => log.warn("cannot kill what an exec started", { containerId: entry.record.id, error }), // of an event, its signal's
    ),
    exitCode: (code) => (existsSync(pidPath) ? code : startFailure(readHead(logPath), code)),
    end: () => {
      for (const path of [processPath, pidPath, logPath]) rmSync(path, { force: true });
    },
  };
}

async function execWithPipes(launch: ExecLaunch, { stdin }: ExecOptions, signal: AbortSignal): Promise<ExecSession> {
  const program = await start(launch);
  if (!stdin) program.stdin.end();
  for (const stream of [program.stdin, program.stdout, program.stderr]) stream.on("error", () => {}); // a command that ended without reading everything: its exit code says how
  return {
    stdout: program.stdout,
    stderr: nameRuntimeErrors(program.stderr, launch.pidPath),
    write: async (chunk) => await writeTo(program.stdin, chunk),
    closeStdin: () => void program.stdin.end(),
    resize: () => {},
    exitCode: untilExit(program, launch, signal),
  };
}

async function start({ program, args }: ExecLaunch): Promise<Program> {
  try {
    return await startProgram({ command: program, args });
  } catch (cause) {
    throw new EngineError("RUNTIME_FAILED", `Cannot run ${program}`, { cause });
  }
}

async function untilExit(program: Program, launch: ExecLaunch, signal: AbortSignal): Promise<number> {
  const abort = (): void => {
    launch.kill(program.pid);
    program.kill("SIGKILL");
  };
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort(); // while it was being started
  try {
    const { exitCode, signal: name } = await program.exited;
    return launch.exitCode(exitCode ?? (name === "SIGKILL" ? 137 : 143));
  } finally {
    signal.removeEventListener("abort", abort);
    launch.end();
  }
}

async function writeTo(stdin: Writable, chunk: Uint8Array): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (stdin.destroyed || stdin.writableEnded) return;
  stdin.write(chunk, () => resolve());
  await promise;
}

/** The runtime writes on the same stderr as the command; before there is a command, what comes is the runtime's. */
async function* nameRuntimeErrors(stderr: AsyncIterable<Buffer>, pidPath: string): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  for await (const chunk of stderr) {
    if (isFirst && chunk.subarray(0, 12).toString("latin1") === "exec failed:" && !existsSync(pidPath))
      yield Buffer.from("OCI runtime exec failed: ");
    isFirst = false;
    yield chunk;
  }
}

/** As a shell has it: 127 for a command that is not there, 126 for one that cannot be run. */
function startFailure(log: string, runtimeExitCode: number): number {
  const said = cleanRuntimeError(log);
  if (said === "") return runtimeExitCode;
  return /not found|no such file/i.test(said) ? 127 : 126;
}
