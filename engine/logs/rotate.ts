import { createReadStream, createWriteStream } from "node:fs";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type Clock, isErrno, type Logger } from "@peapod/kit";

/** When a log is rotated, and how much of it stays. */
export interface RotationPolicy {
  readonly maxSizeBytes: number;
  /** All files of one start of a container, the one being written too. At least 2. */
  readonly maxFiles: number;
}

/** The kubelet's own defaults: containerLogMaxSize and containerLogMaxFiles. */
export const defaultRotation: RotationPolicy = { maxSizeBytes: 10 * 1024 * 1024, maxFiles: 5 };

/** A log that a running container writes. */
export interface OpenLog {
  readonly containerId: string;
  readonly path: string;
}

export interface RotationOptions {
  readonly policy: RotationPolicy;
  /** The logs of the running containers. */
  readonly list: () => Promise<readonly OpenLog[]>;
  /** Has the writer open the path anew: `ContainerRuntime.reopenContainerLog`. */
  readonly reopen: (containerId: string, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

const CHECK_EVERY_MS = 10_000;

/** Rotates the logs of all running containers, one after the other, every ten seconds until the signal is aborted. */
export async function rotateLogs(options: RotationOptions, signal: AbortSignal): Promise<void> {
  for (;;) {
    await options.clock.sleep(CHECK_EVERY_MS, signal);
    for (const open of await options.list()) {
      try {
        await rotateLog(open, options, signal);
      } catch (cause) {
        signal.throwIfAborted();
        options.log.warn("cannot rotate a log", { path: open.path, cause });
      }
    }
  }
}

/**
 * Rotates one log if it has grown too large: renames it to `0.log.20060102-150405`, has a new one opened, compresses the older ones
 * and removes the oldest. Gives whether it did. The file just renamed stays plain until the next time: readers still follow it.
 */
export async function rotateLog(
  open: OpenLog,
  { policy, reopen, clock }: Omit<RotationOptions, "list" | "log">,
  signal: AbortSignal,
): Promise<boolean> {
  if ((await sizeOf(open.path)) < policy.maxSizeBytes) return false;
  const rotated = await listRotated(open.path);
  const kept = rotated.slice(Math.max(0, rotated.length - Math.max(0, policy.maxFiles - 2)));
  for (const path of rotated) if (!kept.includes(path)) await rm(path, { force: true });
  for (const path of kept) if (!path.endsWith(".gz")) await compress(path, signal);
  const target = `${open.path}.${timestamp(clock.nowMs())}`;
  if ((await sizeOf(target)) > 0 || (await sizeOf(`${target}.gz`)) > 0) return false; // twice within a second
  await rename(open.path, target);
  try {
    await reopen(open.containerId, signal);
  } catch (cause) {
    if ((await sizeOf(open.path)) === 0) await rename(target, open.path); // else the new file is there after all
    throw cause;
  }
  return true;
}

/** The rotated files of a log, the oldest first; half-made ones of an earlier attempt are removed. */
async function listRotated(path: string): Promise<string[]> {
  const directory = dirname(path);
  const names = (await readdir(directory)).filter((name) => name.startsWith(`${basename(path)}.`)).sort();
  const found: string[] = [];
  for (const name of names) {
    const isHalf = name.endsWith(".tmp") || names.includes(`${name}.gz`);
    if (isHalf) await rm(join(directory, name), { force: true });
    else found.push(join(directory, name));
  }
  return found;
}

async function compress(path: string, signal: AbortSignal): Promise<void> {
  const half = `${path}.tmp`;
  try {
    await pipeline(createReadStream(path), createGzip(), createWriteStream(half, { mode: 0o600 }), { signal });
    await rename(half, `${path}.gz`);
    await rm(path, { force: true });
  } catch (cause) {
    await rm(half, { force: true });
    throw cause;
  }
}

/** 20060102-150405, in UTC. */
function timestamp(nowMs: number): string {
  const [day = "", time = ""] = new Date(nowMs).toISOString().split("T");
  return `${day.replaceAll("-", "")}-${time.slice(0, 8).replaceAll(":", "")}`;
}

/** 0 where there is no such file. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return 0;
    throw cause;
  }
}
