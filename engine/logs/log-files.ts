import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isErrno } from "@peapod/kit";

/*
 * The files of the log of one start. `0.log` is the one that conmon writes; at the size limit it puts a new one in its place, without
 * asking anybody. `0.log.held` is a second name of the same file, so that it is still there then. `0.log.20060102-150405.000` are those
 * that were put aside, named by their last write; after a while they are compressed, and end in `.gz`.
 */

/** A file that was put aside. */
export interface RotatedFile {
  readonly path: string;
  /** Its place in the order: its last write, as its name says it, but always later than the one before. */
  readonly timeMs: number;
  readonly isCompressed: boolean;
}

/** The second name of the file that is written. */
export function heldPath(path: string): string {
  return `${path}.held`;
}

/** The name of a file whose last write was then. */
export function rotatedPath(path: string, timeMs: number): string {
  const [day = "", time = ""] = new Date(timeMs).toISOString().split("T");
  return `${path}.${day.replaceAll("-", "")}-${time.slice(0, 12).replaceAll(":", "")}`;
}

const rotatedSuffix = /^\.(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d\.\d{3})(\.gz)?$/;

/** The files of a log that were put aside, the oldest first; one that is both plain and compressed as the compressed one. */
export async function listRotated(path: string): Promise<RotatedFile[]> {
  const found = new Map<number, RotatedFile>();
  for (const name of await namesOf(path)) {
    const [, year, month, day, hour, minute, second, end] = rotatedSuffix.exec(name.slice(basename(path).length)) ?? [];
    if (year === undefined) continue;
    const timeMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
    const isCompressed = end !== undefined;
    if (isCompressed || !found.has(timeMs)) found.set(timeMs, { path: join(dirname(path), name), timeMs, isCompressed });
  }
  return [...found.values()].sort((left, right) => left.timeMs - right.timeMs);
}

/** Removes a file that was put aside, plain, compressed or half compressed. */
export async function removeRotated(path: string, timeMs: number): Promise<void> {
  for (const end of ["", ".gz", ".tmp"]) await rm(`${rotatedPath(path, timeMs)}${end}`, { force: true });
}

/** Removes all files of a log. */
export async function removeLog(path: string): Promise<void> {
  for (const name of await namesOf(path)) await rm(join(dirname(path), name), { force: true });
}

async function namesOf(path: string): Promise<string[]> {
  try {
    return (await readdir(dirname(path))).filter((name) => name === basename(path) || name.startsWith(`${basename(path)}.`));
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return [];
    throw cause;
  }
}
