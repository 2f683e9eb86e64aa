import { closeSync, constants, fstatSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { isErrno } from "@peapod/kit";

/**
 * Opens a file to be locked (`lockFile`), made where it is missing. Only in a folder that nobody but this user can write to: others could hold
 * the lock, or have put a link there that makes this process write elsewhere. No link is followed; throws where it is anything but a plain file.
 */
export function openLockFile(path: string): number {
  refuseForeignFolder(dirname(path));
  const fd = open(path);
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new Error(`${path} is no plain file`);
}

/** A lock needs no more than a file that is there: on a read-only disk, too. */
function open(path: string): number {
  const { O_RDWR, O_RDONLY, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    return openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  } catch (cause) {
    if (isErrno(cause, "EROFS")) return openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    throw cause;
  }
}

/** Throws where somebody else owns a folder or can write to it. */
export function refuseForeignFolder(path: string): void {
  const { uid, mode } = statSync(path);
  if (uid !== process.geteuid?.()) throw new Error(`${path} belongs to user ${uid}`);
  if ((mode & 0o022) !== 0) throw new Error(`others can write to ${path} (mode ${(mode & 0o7777).toString(8)})`);
}
