import { closeSync, openSync, readSync } from "node:fs";
import { isErrno } from "@peapod/kit";

const LIMIT_BYTES = 16 * 1024;

/**
 * The beginning of a small file, as text; "" where there is none. For files of /proc above all: a process makes its own command line as long
 * as it likes.
 */
export function readHead(path: string): string {
  let fd: number | undefined;
  try {
    fd = openSync(path, "r");
    const buffer = Buffer.allocUnsafe(LIMIT_BYTES);
    return buffer.toString("utf8", 0, readSync(fd, buffer));
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ESRCH")) return "";
    throw cause;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
