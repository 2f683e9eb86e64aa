import { CommandError, run } from "@peapod/kit";
import { startInThread } from "../../../linux/program.ts";

/** The OCI runtime and the directory of its state. */
export interface RuntimeCommand {
  readonly path: string;
  readonly root: string;
}

const WITHIN_MS = 30_000;

/** Runs one verb of the OCI runtime to its end. Throws an Error with the runtime's own words, cleaned. */
export async function runRuntime(runtime: RuntimeCommand, args: readonly string[], signal: AbortSignal): Promise<void> {
  try {
    await run(runtime.path, ["--root", runtime.root, "--log-format", "json", ...args], {
      signal,
      timeoutMs: WITHIN_MS,
      start: startInThread,
    });
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    throw new Error(cleanRuntimeError(cause.stderr || cause.message), { cause });
  }
}

/**
 * What runc or crun said, without the clothes: the last error of JSON log lines or of logfmt lines (`time=... level=error msg="..."`),
 * and no `runc create failed:` before it.
 */
export function cleanRuntimeError(text: string): string {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const messages = lines.map(lineMessage).filter((message) => message !== undefined);
  const last = messages.findLast(({ isError }) => isError) ?? messages.at(-1);
  return (last?.message ?? text.trim()).replace(/^(runc|crun) (create|run|start|exec) failed: /, "").trim();
}

/** Tells whether the runtime failed on the container's own program: not found, not executable, no such working directory. */
export function isProgramError(message: string): boolean {
  return /exec: |executable file|exec format|no such file or directory: OCI runtime|chdir to cwd/.test(message);
}

/** In less, no program of today starts. */
const LITTLE_MEMORY_BYTES = 1024 * 1024;

/**
 * The runtime's message, or one that names the limit where next to no memory was allowed: the kernel then refuses to make the cgroup, with words
 * as if the machine's memory were used up.
 */
export function explainLimit(message: string, memoryLimitBytes: number | undefined): string {
  if (memoryLimitBytes === undefined || memoryLimitBytes >= LITTLE_MEMORY_BYTES) return message;
  if (!/cannot allocate memory|out of memory/i.test(message)) return message;
  return `its memory limit of ${memoryLimitBytes} byte${memoryLimitBytes === 1 ? "" : "s"} is too low for any program (${message})`;
}

function lineMessage(line: string): { message: string; isError: boolean } | undefined {
  if (line.startsWith("{")) {
    try {
      const entry: unknown = JSON.parse(line);
      if (typeof entry === "object" && entry !== null && "msg" in entry && typeof entry.msg === "string") {
        return { message: entry.msg, isError: !("level" in entry) || entry.level === "error" || entry.level === "fatal" };
      }
    } catch {
      // Half a line, or no JSON after all: it is shown as it is.
    }
  }
  const logfmt = /level=(\w+) msg=("(?:[^"\\]|\\.)*")/.exec(line);
  if (logfmt?.[2] !== undefined) return { message: unquote(logfmt[2]), isError: logfmt[1] === "error" || logfmt[1] === "fatal" };
  return { message: line, isError: true };
}

function unquote(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return text; // Go quotes a few bytes as \x00, which JSON does not know
  }
}
