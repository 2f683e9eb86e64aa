import { spawn, type ChildProcess } from "node:child_process";
import type { Duplex } from "node:stream";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { readTextIfPresent } from "@peapod/kit";
import { defaultPath } from "./container-defaults.ts";

/** How to start a container's monitor. */
export interface MonitorOptions {
  readonly conmonPath: string;
  readonly runtime: RuntimeCommand;
  readonly containerId: string;
  /** The OCI bundle; conmon leaves its own files here too. */
  readonly bundle: string;
  readonly logPath: string;
  readonly exitDir: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  /** Called with conmon's pid before it does anything, to move it into its own cgroup. Undefined: it may run at once. */
  readonly adopt: ((pid: number) => Promise<void>) | undefined;
}

/** The OCI runtime and the directory of its state. */
export interface RuntimeCommand {
  readonly path: string;
  readonly root: string;
}

/** The files that a monitor leaves in its bundle. */
export const bundleFiles = {
  config: "config.json",
  /** The container's pid, written by the runtime. */
  pid: "pid",
  monitorPid: "conmon.pid",
  /** What conmon said on its standard error: a pipe would end it with SIGPIPE once nobody reads. */
  monitorLog: "conmon.log",
  /** What the runtime said, JSON lines. */
  runtimeLog: "runtime.log",
  /** There when the kernel killed something of the container for memory. */
  oom: "oom",
  /** A fifo for commands: `2 0 0` opens the log anew. */
  control: "ctl",
} as const;

/** conmon reported that the runtime could not create the container. */
export class MonitorError extends Error {
  override readonly name = "MonitorError";
}

const SILENT = "conmon ended without a report";
const REPORT_LIMIT_BYTES = 64 * 1024;

/**
 * Starts conmon, which creates the container and then outlives this program; gives the container's pid.
 * conmon writes `exitDir/ID` with the exit code when the container ends. Throws a MonitorError with the runtime's words.
 */
export async function createWithConmon(options: MonitorOptions, signal: AbortSignal): Promise<number> {
  signal.throwIfAborted();
  const child = spawnMonitor(options);
  const report = readReport(child, options.conmonPath);
  const abort = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", abort, { once: true });
  try {
    const [line] = await Promise.all([report, letGo(child, options.adopt)]);
    return parseReport(line);
  } catch (cause) {
    child.kill("SIGKILL");
    await report.catch(() => {}); // the error that ended this is the one that counts
    signal.throwIfAborted();
    const said = (await readTextIfPresent(join(options.bundle, bundleFiles.monitorLog)))?.trim() ?? "";
    if (cause instanceof MonitorError && cause.message === SILENT && said !== "")
      throw new MonitorError(`conmon: ${said.slice(-1_000)}`, { cause });
    throw cause;
  } finally {
    signal.removeEventListener("abort", abort);
    pipe(child, 3).destroy();
  }
}

/** conmon waits at its start pipe until it is where it belongs. */
async function letGo(child: ChildProcess, adopt: MonitorOptions["adopt"]): Promise<void> {
  if (child.pid === undefined || adopt === undefined) return;
  const start = pipe(child, 4);
  start.on("error", () => {}); // it died before: its report says so
  await adopt(child.pid);
  start.end("go");
}

function spawnMonitor(options: MonitorOptions): ChildProcess {
  const log = openSync(join(options.bundle, bundleFiles.monitorLog), "w", 0o600);
  try {
    return spawn(options.conmonPath, monitorArguments(options), {
      cwd: options.bundle,
      env: { PATH: defaultPath, _OCI_SYNCPIPE: "3", ...(options.adopt === undefined ? {} : { _OCI_STARTPIPE: "4" }) },
      stdio: ["ignore", "ignore", log, "pipe", ...(options.adopt === undefined ? [] : ["pipe" as const])],
      detached: true,
    });
  } finally {
    closeSync(log);
  }
}

function monitorArguments({ runtime, containerId, bundle, logPath, exitDir, tty, stdin }: MonitorOptions): string[] {
  const log = join(bundle, bundleFiles.runtimeLog);
  const runtimeArguments = [`--root=${runtime.root}`, `--log=${log}`, "--log-format=json"];
  return [
    ["--api-version", "1", "-c", containerId, "-u", containerId, "-r", runtime.path, "-b", bundle],
    ["-p", join(bundle, bundleFiles.pid), "-P", join(bundle, bundleFiles.monitorPid), "-l", `k8s-file:${logPath}`],
    // Its attach socket stands in the bundle; no log is forced to disk on exit: that took longer than the exit itself.
    ["--exit-dir", exitDir, "--full-attach", "--no-sync-log"],
    runtimeArguments.flatMap((argument) => ["--runtime-arg", argument]),
    tty ? ["-t"] : [],
    stdin ? ["-i", "--leave-stdin-open"] : [],
  ].flat();
}

/** The first line of the sync pipe. conmon's parent half exits at once; the half that reports keeps the pipe. */
async function readReport(child: ChildProcess, program: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  child.once("error", (cause) => reject(new MonitorError(`Cannot run ${program}`, { cause })));
  const sync = pipe(child, 3);
  sync.on("data", (chunk: Buffer) => {
    text += chunk.toString("utf8");
    const end = text.indexOf("\n");
    if (end >= 0) resolve(text.slice(0, end));
    else if (text.length > REPORT_LIMIT_BYTES) reject(new MonitorError("conmon reported more than 64 KiB"));
  });
  sync.on("error", reject);
  sync.once("close", () => reject(new MonitorError(SILENT)));
  return await promise;
}

function parseReport(line: string): number {
  const report: unknown = JSON.parse(line);
  if (typeof report === "object" && report !== null && "data" in report && typeof report.data === "number") {
    if (report.data > 0) return report.data;
    const message = "message" in report && typeof report.message === "string" ? report.message : "";
    throw new MonitorError(message.trim() === "" ? `the runtime failed with ${report.data}` : message.trim());
  }
  throw new MonitorError(`conmon reported ${line.slice(0, 200)}, not a pid`);
}

function pipe(child: ChildProcess, fd: number): Duplex {
  return child.stdio[fd] as Duplex; // "pipe" on an extra fd is a socket, both ways
}
