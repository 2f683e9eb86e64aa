import { closeSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { systemClock } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { lockFile } from "../linux/libc.ts";
import { openLockFile } from "../linux/lock-file.ts";

const EVERY_MS = 3;

/**
 * Does `work` while no other engine of the machine does, by flock(2) on `path`: the kernel lets go when a holder dies.
 * Rejects with the signal's reason when it is aborted while waiting; throws MACHINE_LACKS where others could hold the lock.
 */
export async function withMachineLock<T>(path: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const fd = open(path);
  try {
    while (!lockFile(fd)) await systemClock.sleep(EVERY_MS, signal);
    return await work();
  } finally {
    closeSync(fd);
  }
}

function open(path: string): number {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return openLockFile(path);
  } catch (cause) {
    throw new EngineError("MACHINE_LACKS", `Cannot take the lock ${path} that the machine's engines share`, { cause });
  }
}
