import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { isErrno } from "@peapod/kit";
import { mount, MS } from "../linux/libc.ts";

const TMPFS_MAGIC = 0x0102_1994;

export interface TmpfsOptions {
  readonly mode: number;
  /** None: the kernel's default, half of the memory. */
  readonly sizeBytes?: number;
  /** Asks the kernel never to swap its pages out (Linux 6.4 and later); where it cannot, it is left out. */
  readonly secret?: boolean;
}

/** Mounts a tmpfs on `directory` unless one is there already. */
export function mountTmpfs(directory: string, options: TmpfsOptions): void {
  if (hasTmpfs(directory)) return;
  const data = [`mode=${options.mode.toString(8)}`, ...(options.sizeBytes === undefined ? [] : [`size=${options.sizeBytes}`])];
  const flags = options.secret === true ? MS.NOSUID | MS.NODEV : 0;
  try {
    mount(directory, { source: "tmpfs", type: "tmpfs", flags, data: [...data, ...(options.secret === true ? ["noswap"] : [])].join(",") });
  } catch (cause) {
    if (options.secret !== true || !isErrno(cause, "EINVAL")) throw cause;
    mount(directory, { source: "tmpfs", type: "tmpfs", flags, data: data.join(",") });
  }
}

/** A device of its own tells a mount point from a folder that happens to lie on a tmpfs. */
function hasTmpfs(directory: string): boolean {
  return statSync(directory).dev !== statSync(dirname(directory)).dev && statfsSync(directory).type === TMPFS_MAGIC;
}
