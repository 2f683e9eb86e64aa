import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { systemClock } from "@peapod/kit";
import { lockFile } from "../linux/libc.ts";

const EVERY_MS = 3;

/**
 * Does `work` while no other engine of the machine does, by flock(2) on `path`: the kernel lets go when a holder dies.
 * Rejects with the signal's reason when it is aborted while waiting.
 */
export async function withMachineLock<T>(path: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true });
  const fd = openSync(path, "a", 0o600);
  try {
    while (!lockFile(fd)) await systemClock.sleep(EVERY_MS, signal);
    return await work();
  } finally {
    closeSync(fd);
  }
}
