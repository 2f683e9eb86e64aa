import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { isErrno, startInterval } from "@peapod/kit";
import { EngineError } from "../errors.ts";

/** With less than this free for so long, whoever writes has met the end of the disk. */
const LEAST_FREE_BYTES = 4 * 1024 * 1024;
const FULL_FOR_MS = 5_000;
const LOOK_EVERY_MS = 500;

export interface WhileRoomOptions {
  /** Where it writes, a folder of its own. */
  readonly folder: string;
  /** What is done, for the message: `make "x"`. */
  readonly doing: string;
  readonly signal: AbortSignal;
  /** Default: what the file system says. */
  readonly freeBytes?: (folder: string) => number;
}

/**
 * Lets a program write that may wait for ever on a full disk, as apt does, instead of failing: its signal is aborted when the disk has been full for
 * some seconds. Throws IMAGE_PULL_FAILED then.
 */
export async function whileRoom<T>(options: WhileRoomOptions, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { folder, doing, signal, freeBytes = freeOf } = options;
  const full = new AbortController();
  let sinceMs: number | undefined;
  const look = (): void => {
    if (freeBytes(folder) >= LEAST_FREE_BYTES) sinceMs = undefined;
    else if (performance.now() - (sinceMs ??= performance.now()) >= FULL_FOR_MS) full.abort();
  };
  using _looking = startInterval(look, LOOK_EVERY_MS);
  try {
    return await act(AbortSignal.any([signal, full.signal]));
  } catch (cause) {
    if (signal.aborted || !full.signal.aborted) throw cause;
    throw new EngineError(
      "IMAGE_PULL_FAILED",
      `Cannot ${doing}: the disk of ${dirname(folder)} is full; free some of it (peapod image prune, or files of other programs)`,
    );
  }
}

function freeOf(folder: string): number {
  try {
    const { blocks, bavail, bsize } = statfsSync(folder);
    return blocks > 0 ? bavail * bsize : Number.POSITIVE_INFINITY; // some file systems in memory have no bound, and say 0
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return Number.POSITIVE_INFINITY; // who writes there will say so
    throw cause;
  }
}
