import { lstat, rmdir, unlink } from "node:fs/promises";
import { isErrno, run } from "@peapod/kit";
import { startInThread } from "./program.ts";

/**
 * Removes a file or a folder with all in it, whatever somebody foreign (an image, a container) made of it: `rm` goes by descriptors, so that
 * no depth is too deep and no link is followed, and stays on one file system. Already gone is success. What only the engine itself
 * writes may be removed by path.
 */
export async function removeTree(path: string, signal: AbortSignal = new AbortController().signal): Promise<void> {
  try {
    if ((await lstat(path)).isDirectory()) await rmdir(path);
    else await unlink(path);
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ENOTDIR")) return;
    if (!isErrno(cause, "ENOTEMPTY", "EEXIST")) throw cause;
    await run("rm", ["-rf", "--one-file-system", "--", path], { signal, start: startInThread });
  }
}
