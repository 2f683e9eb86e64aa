import { spawn } from "node:child_process";
import { type FileHandle, mkdir, mkdtemp, open, readFile, rename, stat, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { delay, isErrno, readTextIfPresent } from "@peapod/kit";
import { ApiError, connectHttp } from "@peapod/client";
import { CliError } from "./cli-error.ts";
import type { Invocation } from "./command.ts";
import type { CliConfig } from "./config.ts";
import { adminKubeconfigPath, rootError } from "./administrator.ts";

/** What an engine that serves says about itself in its run directory. */
export interface EngineRecord {
  readonly pid: number;
  readonly listen: string;
  readonly version: string;
  readonly startTime: string;
}

const START_WITHIN_MS = 60_000;
const POLL_MS = 15;
const LOG_LIMIT_BYTES = 10 * 1024 * 1024;
/** An engine that `up` started ends when nothing has been left to run for so long. */
const IDLE_EXIT_MINUTES = 10;

/** The engine's program that looks at a machine. */
export const doctorProgram = fileURLToPath(new URL("../engine/doctor/main.ts", import.meta.url));

/** The program of the engine. */
export const engineProgram = fileURLToPath(new URL("../engine/main.ts", import.meta.url));

/** The engine that holds this run directory and lives, or undefined. */
export async function findEngine(config: CliConfig): Promise<EngineRecord | undefined> {
  const content = await readTextIfPresent(join(config.runDir, "engine.json")).catch((cause: unknown) => {
    if (isErrno(cause, "EACCES")) throw rootError(config, "to see the engine of this machine");
    throw cause;
  });
  if (content === undefined) return undefined;
  const record = JSON.parse(content) as EngineRecord; // written whole by the engine
  return (await isAlive(record.pid)) ? record : undefined;
}

/** Tells whether a process is there and not a zombie. */
export async function isAlive(pid: number): Promise<boolean> {
  const line = await readTextIfPresent(`/proc/${pid}/stat`).catch(() => undefined); // it ended while we read
  const state = line?.slice(line.lastIndexOf(")") + 2)[0];
  return state !== undefined && state !== "Z" && state !== "X";
}

/** Sees to it that an engine answers: the one that runs, or a new one in the background. Throws a CliError with the engine's own words. */
export async function ensureEngine(invocation: Invocation): Promise<void> {
  const { config, terminal, signal } = invocation;
  if ((await findEngine(config)) !== undefined && (await answers(config, signal))) return;
  if (!config.isRoot) throw rootError(config, "to run containers");
  const startedMs = performance.now();
  const { log, logPath } = await openLog(config);
  const logStart = (await log.stat()).size;
  try {
    const child = spawn(process.execPath, [engineProgram, "serve", ...engineArguments(config)], {
      cwd: "/",
      detached: true, // a session of its own: the terminal's Ctrl-C is not for it
      stdio: ["ignore", log.fd, log.fd],
    });
    let ended: string | undefined;
    child.once("error", (cause) => (ended = cause.message));
    child.once("exit", (code, name) => (ended = code === null ? `was ended by ${name}` : `exited with ${code}`));
    child.unref();
    const deadline = performance.now() + START_WITHIN_MS;
    while (!(await answers(config, signal))) {
      const other = ended === undefined ? undefined : await findEngine(config); // two that start at once: one wins, and serves both
      if (ended !== undefined && other === undefined) throw await startError(`it ${ended}`, logPath, logStart);
      if (performance.now() > deadline) throw await startError(`it does not answer after ${START_WITHIN_MS / 1000} s`, logPath, logStart);
      await delay(POLL_MS, signal);
    }
  } finally {
    await log.close();
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  terminal.note(terminal.paintNote("dim", `Started the engine in ${seconds} s; its log is ${logPath}`));
}

/** The flags that give an engine this configuration. */
export function engineArguments(config: CliConfig): string[] {
  const listen = config.listen === undefined ? [] : ["--listen", config.listen];
  return [
    "--state-dir",
    resolve(config.stateDir),
    "--run-dir",
    resolve(config.runDir),
    ...listen,
    "--idle-exit-minutes",
    String(IDLE_EXIT_MINUTES),
  ];
}

async function answers(config: CliConfig, signal: AbortSignal): Promise<boolean> {
  if ((await findEngine(config)) === undefined) return false;
  try {
    using client = await connectHttp({ kubeconfig: adminKubeconfigPath(config) });
    await client.request({ method: "GET", path: "/version" }, signal);
    return true;
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof ApiError && cause.code !== 503) throw cause;
    return false;
  }
}

/** In the state directory, or where its disk takes no new file, in a folder of its own: the run directory must be empty when the engine takes it. */
async function openLog(config: CliConfig): Promise<{ log: FileHandle; logPath: string }> {
  const openIn = async (dir: string): Promise<{ log: FileHandle; logPath: string }> => {
    const logPath = join(resolve(dir), "engine.log");
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await rotate(logPath);
    return { log: await open(logPath, "a", 0o600), logPath };
  };
  try {
    return await openIn(config.stateDir);
  } catch (cause) {
    if (!isErrno(cause, "EROFS", "ENOSPC")) throw cause;
    return openIn(await mkdtemp(join(tmpdir(), "peapod-")));
  }
}

/** Two files at most: what the last engines said, and what came before. */
async function rotate(path: string): Promise<void> {
  const size = await stat(path).then(
    (facts) => facts.size,
    () => 0,
  );
  if (size > LOG_LIMIT_BYTES) await rename(path, `${path}.old`);
}

async function startError(what: string, logPath: string, logStart: number): Promise<CliError> {
  const written = (await readFile(logPath)).subarray(logStart).toString("utf8").trim();
  const said = written
    .split("\n")
    .map(messageIn)
    .filter((message) => message !== "")
    .slice(-3)
    .join("\n  ");
  const why = said === "" ? await fullDisk(dirname(logPath)) : `. It said:\n  ${said}`;
  return new CliError(`The engine did not start: ${what}${why}\nIts log: ${logPath}`);
}

/** An engine on a full disk cannot even say so. */
async function fullDisk(dir: string): Promise<string> {
  const { blocks, bavail, bsize } = await statfs(dir);
  return blocks > 0 && bavail * bsize < 1024 * 1024 ? `; the disk of ${dir} is full: free some of it` : "";
}

/** The sentence in a JSON log line, with its cause; any other line as it is. */
function messageIn(line: string): string {
  try {
    const { level, message, error } = JSON.parse(line) as { level?: string; message?: string; error?: { message?: string } };
    if (level === "info" || level === "debug") return "";
    return [message, error?.message].filter((part) => part !== undefined).join(": ");
  } catch {
    return line;
  }
}
