import { closeSync, constants, existsSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { delay, isErrno } from "@peapod/kit";
import { isRunning, type ProcessIdentity } from "./process-identity.ts";

/**
 * The fifo that runc and crun hold a created container at. runc's init opens it for writing and goes on when somebody reads; crun's
 * has it open for reading and goes on when somebody writes. It is in the runtime's state directory while the container is `created`,
 * and gone once it was started.
 */
export function startGatePath(runtimeRoot: string, containerId: string): string {
  return join(runtimeRoot, containerId, "exec.fifo");
}

/** Tells whether a created container is still held. */
export function isHeld(runtimeRoot: string, containerId: string): boolean {
  return existsSync(startGatePath(runtimeRoot, containerId));
}

const OPEN_WITHIN_MS = 5_000;

/**
 * Lets a created container go, as the runtime's own `start` does, without its 10 ms: reads the fifo, or writes to it, and removes it.
 * Gives false where there is no such fifo, and the runtime itself must be asked; throws where the process is gone or does not answer.
 */
export async function openStartGate(
  runtimeRoot: string,
  containerId: string,
  held: ProcessIdentity,
  signal: AbortSignal,
): Promise<boolean> {
  const path = startGatePath(runtimeRoot, containerId);
  let fd: number;
  try {
    if (writeToReader(path)) {
      rmSync(path, { force: true });
      return true;
    }
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return false;
    throw cause;
  }
  try {
    await readOne(fd, held, signal);
    rmSync(path, { force: true });
    return true;
  } finally {
    closeSync(fd);
  }
}

/** crun's way; false where nobody reads, which is runc's. */
function writeToReader(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (cause) {
    if (isErrno(cause, "ENXIO")) return false;
    throw cause;
  }
  try {
    writeSync(fd, Buffer.alloc(1));
    return true;
  } finally {
    closeSync(fd);
  }
}

/** The init needs microseconds to wake and write: yield to the event loop first, then look ever more rarely. */
async function readOne(fd: number, held: ProcessIdentity, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + OPEN_WITHIN_MS;
  const byte = Buffer.alloc(1);
  for (let waitMs = 0; ; waitMs = Math.min(waitMs + 1, 20)) {
    if (hasRead(fd, byte)) return;
    if (!isRunning(held)) throw new Error("its process ended before it was started");
    if (performance.now() > deadline) throw new Error(`its process did not answer within ${OPEN_WITHIN_MS} ms`);
    await delay(waitMs, signal);
  }
}

/** Nothing yet is EAGAIN with a writer, and an end of file before there is one. */
function hasRead(fd: number, byte: Buffer): boolean {
  try {
    return readSync(fd, byte, 0, 1, null) === 1;
  } catch (cause) {
    if (isErrno(cause, "EAGAIN")) return false;
    throw cause;
  }
}
