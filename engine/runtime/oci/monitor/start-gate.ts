import { closeSync, constants, existsSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "@peapod/kit";
import type { Gatekeeper } from "./gatekeeper.ts";
import type { HeldProcess } from "./held-process.ts";
import { isRunning } from "../machine/process-identity.ts";

/**
 * The fifo that runc and crun hold a created container at. runc's init opens it for writing, writes when somebody reads, and fails where
 * that somebody has gone meanwhile; crun's has it open for reading and goes on when somebody writes.
 */
export function startGatePath(runtimeRoot: string, containerId: string): string {
  return join(runtimeRoot, containerId, "exec.fifo");
}

/** What a gate is opened with. */
export interface Gate {
  /** The fifo. */
  readonly path: string;
  /** The process that waits at it. */
  readonly held: HeldProcess;
  readonly gatekeeper: Pick<Gatekeeper, "open">;
}

/**
 * Lets a created container go, as the runtime's own `start` does, without its 10 ms. One write decides, to the fifo itself (crun) or to the
 * gatekeeper, who is the reader that the init waits for (runc): before it the container has not begun, after it it goes in a moment, whatever
 * becomes of this engine. Doing it twice does no harm. Gives false where there is no fifo, and the runtime itself must be asked; throws where
 * the process is gone.
 */
export function openStartGate({ path, held, gatekeeper }: Gate): boolean {
  if (!isRunning(held)) throw new Error("its process ended before it was started");
  if (!existsSync(path)) return false;
  if (!writeToReader(path)) gatekeeper.open(path);
  return true;
}

/** Removes the fifo of a container that has begun, as the runtime does: for it, too, the container is started then. */
export function removeStartGate(path: string): void {
  rmSync(path, { force: true });
}

/** crun's way; false where nobody reads, which is runc's. */
function writeToReader(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (cause) {
    if (isErrno(cause, "ENXIO", "ENOENT")) return false;
    throw cause;
  }
  try {
    writeSync(fd, Buffer.alloc(1));
    return true;
  } finally {
    closeSync(fd);
  }
}
