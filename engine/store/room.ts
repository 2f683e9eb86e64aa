import { closeSync, fstatSync, openSync, statfsSync, statSync, unlinkSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { isErrno } from "@peapod/kit";

const MIB = 1024 * 1024;
/** More than the log holds between two checkpoints (1,000 pages), so that it grows only in a transaction that is larger than all before. */
const LOG_BYTES = 5 * MIB;
/** More than a checkpoint may add to the file. */
const RESERVE_BYTES = 4 * MIB;
/** With less than this free, nothing is taken that makes the store larger. More than the reserve: giving it up does not end the shortage. */
const LEAST_FREE_BYTES = 8 * MIB;

/**
 * The room that a store keeps for itself on its disk, so that pods can be deleted, and their ends be written, when there is no other: its
 * write-ahead log keeps its size, and a file beside it is given up when the log cannot be brought into the store otherwise. A log that
 * does not change its size also costs less to sync.
 */
export class Room {
  readonly #path: string;
  readonly #reserve: string;
  #isWhole = false;

  constructor(path: string) {
    this.#path = path;
    this.#reserve = `${path}.reserve`;
  }

  /** Whether the disk has too little left for what makes the store larger. */
  isShort(): boolean {
    const { blocks, bfree, bsize } = statfsSync(dirname(this.#path));
    return blocks > 0 && bfree * bsize < LEAST_FREE_BYTES; // some file systems in memory have no bound, and say 0
  }

  /** Makes what is missing of the room, where the disk has it. Not while a transaction is open: it writes to the log's end. */
  keep(): void {
    if (this.#isWhole) return;
    try {
      fill(`${this.#path}-wal`, LOG_BYTES);
      if (this.isShort()) return;
      fill(this.#reserve, RESERVE_BYTES);
      this.#isWhole = true;
    } catch (cause) {
      if (!isErrno(cause, "ENOSPC", "EDQUOT", "EROFS", "EIO")) throw cause; // as much as there is
    }
  }

  /** The log was cut. */
  lostLog(): void {
    this.#isWhole = false;
  }

  /** Frees the reserve, for whoever comes first. Gives whether there was one. */
  giveUp(): boolean {
    this.#isWhole = false;
    try {
      unlinkSync(this.#reserve);
      return true;
    } catch (cause) {
      if (!isErrno(cause, "ENOENT", "EROFS", "EIO")) throw cause;
      return false;
    }
  }
}

/** Makes a file at least so large, with zeros at its end: to SQLite, a log that ends where the zeros begin. */
function fill(path: string, bytes: number): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) >= bytes) return;
  const fd = openSync(path, "a", 0o600);
  try {
    const zeros = Buffer.alloc(bytes - fstatSync(fd).size);
    for (let done = 0; done < zeros.length;) done += writeSync(fd, zeros, done);
  } finally {
    closeSync(fd);
  }
}
