import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/** The sum of the regular files under a folder, each inode once. */
export async function sumFiles(folder: string): Promise<number> {
  const seen = new Set<number>();
  let sum = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const { ino, size, nlink } = await lstat(join(entry.parentPath, entry.name));
    if (nlink > 1 && seen.has(ino)) continue;
    seen.add(ino);
    sum += size;
  }
  return sum;
}
