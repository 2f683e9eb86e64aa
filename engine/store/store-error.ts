import { closeSync, openSync } from "node:fs";
import { isErrno } from "@peapod/kit";
import { EngineError, type ErrorCode, hasCode } from "../errors.ts";

/** SQLite's primary result codes: https://www.sqlite.org/rescode.html */
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;

/** The codes of what a store's disk can do to it. */
export const storeTroubles = ["STORE_FULL", "STORE_READ_ONLY", "STORE_DAMAGED", "STORE_FAILED"] as const satisfies readonly ErrorCode[];

/** What went wrong with the store at `path`, as an error that says what to do; anything else than its disk's doing is given back as it is. */
export function storeError(cause: unknown, path: string): unknown {
  if (cause instanceof EngineError) return cause;
  const code = resultCode(cause);
  if (code === FULL || isErrno(cause, "ENOSPC", "EDQUOT")) return storeFull(path, cause);
  if (code === READONLY || isErrno(cause, "EROFS")) return readOnly(path, cause);
  if (code === IOERR || code === CANTOPEN || isErrno(cause, "EIO"))
    return isReadOnly(path)
      ? readOnly(path, cause)
      : new EngineError("STORE_FAILED", `The disk failed under ${path}: look at the kernel's log (dmesg), then restart the engine`, {
          cause,
        });
  if (code === CORRUPT || code === NOTADB)
    return new EngineError(
      "STORE_DAMAGED",
      `${path} is damaged, or no database: stop the engine and move the file away (with ${path}-wal) to start with an empty store; pods that run go on, and are taken over`,
      { cause },
    );
  return cause;
}

/** The disk has no room for what makes the store larger. */
export function storeFull(path: string, cause?: unknown): EngineError {
  const message = `The disk of ${path} is full: free some of it (peapod image prune, or files of other programs); deleting pods and other objects works still`;
  return new EngineError("STORE_FULL", message, cause === undefined ? {} : { cause });
}

function readOnly(path: string, cause: unknown): EngineError {
  return new EngineError("STORE_READ_ONLY", `The disk of ${path} is read-only: mount it for writing, then restart the engine`, { cause });
}

/** What was written did not come to disk: the kernel may have dropped it, so that only a new look at the file tells what is there. */
export function notSynced(path: string, cause: unknown): EngineError {
  const message = `The disk did not take what was written to ${path} last, and it may be lost: look at the kernel's log (dmesg), then restart the engine`;
  return new EngineError("STORE_FAILED", message, { cause });
}

/** Whether a failure is for want of room. */
export function isFull(cause: unknown): boolean {
  return hasCode(cause, "STORE_FULL") || resultCode(cause) === FULL || isErrno(cause, "ENOSPC", "EDQUOT");
}

function resultCode(cause: unknown): number | undefined {
  if (!(cause instanceof Error) || !("errcode" in cause) || typeof cause.errcode !== "number") return undefined;
  return cause.errcode & 0xff;
}

/** Asks by opening the log, which has no locks to lose: where the kernel made a file system read-only, access(2) may not tell. */
function isReadOnly(path: string): boolean {
  try {
    closeSync(openSync(`${path}-wal`, "r+"));
    return false;
  } catch (cause) {
    return isErrno(cause, "EROFS");
  }
}
