import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { isErrno } from "@peapod/kit";
import { listRotated, rotatedPath } from "./log-files.ts";

/**
 * Compresses what was put aside of a log, but for the newest, which readers may be following. In threads, one file at a time; stops
 * without an error when the signal is aborted, and leaves each file whole, plain or compressed.
 */
export async function compressLog(path: string, signal: AbortSignal): Promise<void> {
  for (const { timeMs, isCompressed } of (await listRotated(path)).slice(0, -1)) {
    if (signal.aborted) return;
    const plain = rotatedPath(path, timeMs);
    if (!isCompressed) await compress(plain, signal);
    else await rm(plain, { force: true }); // a compression that was ended between its two last steps
  }
}

async function compress(plain: string, signal: AbortSignal): Promise<void> {
  const half = `${plain}.tmp`;
  try {
    await pipeline(createReadStream(plain), createGzip(), createWriteStream(half, { mode: 0o600, flush: true }), { signal });
    await rename(half, `${plain}.gz`);
    await rm(plain);
  } catch (cause) {
    await rm(half, { force: true });
    if (signal.aborted) return;
    if (!isErrno(cause, "ENOENT")) throw cause;
    await rm(`${plain}.gz`, { force: true }); // it was dropped meanwhile
  }
}
