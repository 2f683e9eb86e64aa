import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, basename, join } from "node:path";

/**
 * Writes a file that others read: they see the old content or the new, never half. With `ifChanged` a text that the file has already is not
 * written again, so that a disk that takes nothing does no harm. With `sync`, a power failure takes neither once this is done.
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  options: { mode?: number; sync?: boolean; ifChanged?: boolean } = {},
): Promise<void> {
  if (options.ifChanged === true && (await readTextIfPresent(path)) === content) return;
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}`);
  try {
    const file = await open(temporary, "wx", options.mode ?? 0o600);
    try {
      await file.writeFile(content);
      if (options.sync === true) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    if (options.sync === true) await syncFolder(dirname(path));
  } catch (cause) {
    await rm(temporary, { force: true });
    throw cause;
  }
}

/** What `writeFileAtomic` names a file before it is whole. */
const TEMPORARY = /^\..+\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Removes what a process that was killed in `writeFileAtomic` left in a folder. Not while another process may write there. */
export async function removeTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder)) if (TEMPORARY.test(name)) await rm(join(folder, name), { force: true });
}

/** Has the disk keep which names a folder has. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}

/** Makes a folder that is its owner's alone. One that is so already is left alone, on a read-only disk, too. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (((await stat(path)).mode & 0o777) !== 0o700) await chmod(path, 0o700);
}

/** The text of a file, or undefined where there is none. */
export async function readTextIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return undefined;
    throw cause;
  }
}

/** The same at once, for what is read from memory, as in /proc, or once. */
export function readTextIfPresentNow(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return undefined;
    throw cause;
  }
}

/** Tells whether `error` is a system error with this code, such as ENOENT. */
export function isErrno(error: unknown, ...codes: readonly string[]): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error && codes.some((code) => code === error.code);
}

/** Tells whether a disk has no room, or is read-only. */
export function isDiskClosed(error: unknown): boolean {
  return isErrno(error, "ENOSPC", "EDQUOT", "EROFS");
}
