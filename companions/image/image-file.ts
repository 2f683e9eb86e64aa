import { chmod, copyFile, mkdir, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";

/** A file of this machine, and its place in an image, without the leading slash. */
export interface ImageFile {
  readonly from: string;
  readonly to: string;
  /** In the image, whatever it is on this machine. */
  readonly mode: 0o644 | 0o755;
}

/** Copies files to their places below `root`; what a link stands for, not the link. */
export async function copyFiles(found: readonly ImageFile[], root: string): Promise<void> {
  for (const { from, to, mode } of found) {
    const target = join(root, to);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(await realpath(from), target);
    await chmod(target, mode);
  }
}
