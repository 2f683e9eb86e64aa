import { closeSync, constants, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { delay, isErrno } from "@peapod/kit";
import { reap, spawnDetached } from "../../linux/spawn.ts";
import { isStillHeld, type HeldProcess } from "./held-process.ts";
import { isRunning } from "./process-identity.ts";

/**
 * The fifo that runc and crun hold a created container at. runc's init opens it for writing, writes when somebody reads, and fails where
 * that somebody has gone meanwhile; crun's has it open for reading and goes on when somebody writes.
 */
export function startGatePath(runtimeRoot: string, containerId: string): string {
  return join(runtimeRoot, containerId, "exec.fifo");
}

const OPEN_WITHIN_MS = 5_000;
/** How long a keeper outlives an engine that died over the gate: longer than an init needs to write one byte on any machine. */
const KEEPER_SECONDS = 10;

/** What a gate is opened with. */
export interface Gate {
  /** The fifo. */
  readonly path: string;
  /** The process that waits at it. */
  readonly held: HeldProcess;
  /** sleep(1), which keeps it open. */
  readonly sleepPath: string;
}

/**
 * Lets a created container go, as the runtime's own `start` does, without its 10 ms. From the first step on it goes whatever becomes of this
 * engine: either one write does it (crun), or a keeper, a process of its own, is the reader that the init waits for (runc).
 * Gives false where there is no fifo, and the runtime itself must be asked; throws where the process is gone or does not answer.
 */
export async function openStartGate(gate: Gate, signal: AbortSignal): Promise<boolean> {
  let keeper: number | undefined;
  try {
    if (writeToReader(gate.path)) {
      rmSync(gate.path, { force: true });
      return true;
    }
    keeper = startKeeper(gate);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return false;
    throw cause;
  }
  try {
    await untilPassed(gate, signal);
    rmSync(gate.path, { force: true });
    return true;
  } finally {
    process.kill(keeper, "SIGKILL"); // not reaped yet, so it is nobody else
    await reap(keeper);
  }
}

/** Starts a process that has the fifo open for reading from its first moment on, and ends by itself soon; gives its pid. */
export function startKeeper({ path, sleepPath }: Pick<Gate, "path" | "sleepPath">): number {
  const nothing = openSync("/dev/null", "r+");
  const others = openSync("/dev/null", "r+");
  try {
    const reader = { open: path, flags: constants.O_RDONLY | constants.O_NONBLOCK };
    return spawnDetached({ path: sleepPath, args: [String(KEEPER_SECONDS)], env: {}, cwd: "/", fds: [reader, nothing, others] });
  } finally {
    for (const fd of [nothing, others]) closeSync(fd);
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
async function untilPassed({ path, held }: Gate, signal: AbortSignal): Promise<void> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const deadline = performance.now() + OPEN_WITHIN_MS;
    const byte = Buffer.alloc(1);
    for (let waitMs = 0; ; waitMs = Math.min(waitMs + 1, 20)) {
      if (hasRead(fd, byte)) return;
      if (!isRunning(held)) throw new Error("its process ended before it was started");
      if (!isStillHeld(held)) return; // an earlier engine let it go, and took its byte
      if (performance.now() > deadline) throw new Error(`its process did not answer within ${OPEN_WITHIN_MS} ms`);
      await delay(waitMs, signal);
    }
  } finally {
    closeSync(fd);
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
