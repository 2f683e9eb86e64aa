import { closeSync, openSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { isErrno, readTextIfPresent, startTimer } from "@peapod/kit";
import { makePipe, reap, spawnInThread } from "../../../linux/spawn.ts";
import { defaultPath } from "../spec/container-defaults.ts";
import type { RuntimeCommand } from "../machine/runtime-command.ts";

/** How to start a container's monitor. */
export interface MonitorOptions {
  readonly conmonPath: string;
  readonly runtime: RuntimeCommand;
  readonly containerId: string;
  /** The OCI bundle; conmon leaves its own files here too. */
  readonly bundle: string;
  readonly logPath: string;
  /** At this size conmon puts a new log file in the place of the old, which is gone then but for a link that somebody made. */
  readonly logMaxSizeBytes: number | undefined;
  readonly exitDir: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  /** Called with conmon's pid before it does anything, to move it into its own cgroup. Undefined: it may run at once. */
  readonly adopt: ((pid: number) => Promise<void>) | undefined;
  /** For the whole creation. A runtime that hangs, or dies and leaves conmon waiting for its output, would hold its pod for ever. */
  readonly withinMs: number;
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
  const monitor = await spawnMonitor(options);
  const sync = new Socket({ fd: monitor.syncFd, readable: true, writable: false });
  const report = readReport(sync);
  // Its second half and the runtime may go on and hold the pipe: they are for the caller to kill, by their bundle.
  const abort = (): void => {
    killQuietly(monitor.pid);
    sync.destroy();
  };
  let isLate = false;
  const timer = startTimer(() => {
    isLate = true;
    abort();
  }, options.withinMs);
  signal.addEventListener("abort", abort, { once: true });
  try {
    const [line] = await Promise.all([report, letGo(monitor, options.adopt)]);
    return parseReport(line);
  } catch (cause) {
    abort();
    await report.catch(() => {}); // the error that ended this is the one that counts
    signal.throwIfAborted();
    if (isLate) throw new MonitorError(`the runtime did not create it within ${options.withinMs} ms`, { cause });
    const said = (await readTextIfPresent(join(options.bundle, bundleFiles.monitorLog)))?.trim() ?? "";
    if (cause instanceof MonitorError && cause.message === SILENT && said !== "")
      throw new MonitorError(`conmon: ${said.slice(-1_000)}`, { cause });
    throw cause;
  } finally {
    timer[Symbol.dispose]();
    signal.removeEventListener("abort", abort);
    sync.destroy();
    await reap(monitor.pid); // it has forked or was killed; the half that stays is nobody's child
  }
}

interface Monitor {
  /** Of the half that forks and exits. Not reaped before its creation is over, so nobody else has it. */
  readonly pid: number;
  /** Where it reports. */
  readonly syncFd: number;
  /** Where it waits to be let go, if it does. */
  readonly startFd: number | undefined;
}

/** conmon waits at its start pipe until it is where it belongs. */
async function letGo({ pid, startFd }: Monitor, adopt: MonitorOptions["adopt"]): Promise<void> {
  if (startFd === undefined) return;
  try {
    await adopt?.(pid);
    writeSync(startFd, "go");
  } catch (cause) {
    if (!isErrno(cause, "EPIPE")) throw cause; // it died before: its report says so
  } finally {
    closeSync(startFd);
  }
}

async function spawnMonitor(options: MonitorOptions): Promise<Monitor> {
  const { bundle, conmonPath, adopt } = options;
  const opened: number[] = [];
  const open = (fd: number): number => (opened.push(fd), fd);
  try {
    const nothing = open(openSync("/dev/null", "r+"));
    const log = open(openSync(join(bundle, bundleFiles.monitorLog), "w", 0o600));
    const sync = makePipe();
    open(sync.write);
    const start = adopt === undefined ? undefined : makePipe();
    if (start !== undefined) open(start.read);
    try {
      const pid = await spawnInThread({
        path: conmonPath,
        args: monitorArguments(options),
        cwd: bundle,
        env: { PATH: defaultPath, _OCI_SYNCPIPE: "3", ...(start === undefined ? {} : { _OCI_STARTPIPE: "4" }) },
        fds: [nothing, nothing, log, sync.write, ...(start === undefined ? [] : [start.read])],
      });
      return { pid, syncFd: sync.read, startFd: start?.write };
    } catch (cause) {
      closeSync(sync.read);
      if (start !== undefined) closeSync(start.write);
      throw new MonitorError(`Cannot run ${conmonPath}`, { cause });
    }
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (cause) {
    if (!isErrno(cause, "ESRCH")) throw cause;
  }
}

function monitorArguments({ runtime, containerId, bundle, logPath, logMaxSizeBytes, exitDir, tty, stdin }: MonitorOptions): string[] {
  const log = join(bundle, bundleFiles.runtimeLog);
  const runtimeArguments = [`--root=${runtime.root}`, `--log=${log}`, "--log-format=json"];
  return [
    ["--api-version", "1", "-c", containerId, "-u", containerId, "-r", runtime.path, "-b", bundle],
    ["-p", join(bundle, bundleFiles.pid), "-P", join(bundle, bundleFiles.monitorPid), "-l", `k8s-file:${logPath}`],
    // Its attach socket stands in the bundle; no log is forced to disk on exit: that took longer than the exit itself.
    ["--exit-dir", exitDir, "--full-attach", "--no-sync-log"],
    logMaxSizeBytes === undefined ? [] : ["--log-size-max", String(logMaxSizeBytes)],
    runtimeArguments.flatMap((argument) => ["--runtime-arg", argument]),
    tty ? ["-t"] : [],
    stdin ? ["-i", "--leave-stdin-open"] : [],
  ].flat();
}

/** The first line of the sync pipe. conmon's parent half exits at once; the half that reports keeps the pipe. */
async function readReport(sync: Socket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
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
