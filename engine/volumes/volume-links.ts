import { chmodSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { isErrno } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { splitFilePath } from "./file-names.ts";

/** The link that names the folder with the files of now. */
export const DATA = "..data";

/**
 * The names by which a volume's files are found: links through `..data`, and the folders that other volumes are mounted on. Such a folder, and
 * all above it, is a real one beside the dated ones, with links for the files in it: a new set of files takes no mount away.
 */
export interface VolumeNames {
  /** Folders to be there, those above before those below. */
  readonly folders: readonly string[];
  /** Paths of links. */
  readonly links: ReadonlySet<string>;
}

/** The names for some files, and for folders to be mounted on. A mount over a file wants no folder. Throws VOLUME_FAILED where one would lie in a file. */
export function volumeNames(files: ReadonlySet<string>, mountPoints: readonly string[]): VolumeNames {
  const folders = new Set<string>();
  for (const path of mountPoints.map((one) => splitFilePath(one).join("/"))) {
    if (files.has(path)) continue;
    for (const folder of [...foldersAbove(path), path]) {
      if (files.has(folder))
        throw new EngineError("VOLUME_FAILED", `Cannot make the folder ${path} for a mount in a volume: ${folder} is a file in it`);
      folders.add(folder);
    }
  }
  const links = [...files].map((path) => [...foldersAbove(path), path].find((name) => !folders.has(name)) ?? path);
  return { folders: [...folders], links: new Set(links) };
}

/** Makes folders and links that are missing. Links come before the switch of `..data`, so that no name points to nothing for longer than that. */
export function makeNames(directory: string, { folders, links }: VolumeNames): void {
  for (const folder of folders) makeFolder(directory, folder);
  for (const link of links) ignoring("EEXIST", () => symlinkSync(targetOf(link), join(directory, link)));
}

/** Removes the links that are no longer names: nothing but what `makeNames` made. */
export function removeStaleNames(directory: string, { folders, links }: VolumeNames): void {
  for (const folder of ["", ...folders]) {
    for (const entry of readdirSync(join(directory, folder), { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isSymbolicLink() && !links.has(path) && isOwnLink(directory, path)) unlinkSync(join(directory, path));
    }
  }
}

/** The folders above a path, from the top down. */
export function foldersAbove(path: string): string[] {
  const folders: string[] = [];
  for (let folder = dirname(path); folder !== "."; folder = dirname(folder)) folders.unshift(folder);
  return folders;
}

function makeFolder(directory: string, folder: string): void {
  const path = join(directory, folder);
  if (isOwnLink(directory, folder)) unlinkSync(path); // a file's, or a folder's before something was mounted in it
  ignoring("EEXIST", () => {
    mkdirSync(path);
    chmodSync(path, 0o755);
  });
}

function targetOf(link: string): string {
  return join("../".repeat(foldersAbove(link).length), DATA, link);
}

function isOwnLink(directory: string, path: string): boolean {
  try {
    return readlinkSync(join(directory, path)) === targetOf(path);
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "EINVAL")) return false;
    throw cause;
  }
}

function ignoring(code: string, act: () => void): void {
  try {
    act();
  } catch (cause) {
    if (!isErrno(cause, code)) throw cause;
  }
}
