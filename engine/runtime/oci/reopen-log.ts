import { closeSync, constants, existsSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { delay, isErrno } from "@peapod/kit";
import { EngineError } from "../../errors.ts";
import { bundleFiles } from "./conmon.ts";
import type { ContainerEntry } from "./container-entry.ts";

const REOPEN = "2 0 0\n"; // conmon's ctrl.c: message type, two numbers that it does not use
const WITHIN_MS = 5_000;

/** Has a container's conmon close its log file and open a new one under the same name; resolves when it is there. */
export async function reopenLog({ bundle, record }: ContainerEntry, signal: AbortSignal): Promise<void> {
  if (!tell(join(bundle, bundleFiles.control))) return;
  const deadline = performance.now() + WITHIN_MS;
  for (let waitMs = 1; !existsSync(record.logPath); waitMs = Math.min(waitMs * 2, 100)) {
    if (performance.now() > deadline)
      throw new EngineError("RUNTIME_FAILED", `Cannot reopen the log of container "${record.name}": conmon does not answer`);
    await delay(waitMs, signal);
  }
}

/** False where no conmon listens any more: then nobody writes the log either. */
function tell(control: string): boolean {
  let fd: number;
  try {
    fd = openSync(control, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (cause) {
    if (isErrno(cause, "ENXIO", "ENOENT")) return false;
    throw cause;
  }
  try {
    writeSync(fd, REOPEN);
    return true;
  } finally {
    closeSync(fd);
  }
}
