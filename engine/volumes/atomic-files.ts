import { randomInt } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { isErrno } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { splitFilePath } from "./file-names.ts";
import { DATA, foldersAbove, makeNames, removeStaleNames, volumeNames } from "./volume-links.ts";
import type { VolumeFile } from "./volumes.ts";

const DATA_TEMPORARY = "..data_tmp";
const GENERATION = /^\.\.\d{4}(_\d\d){5}\.\d+$/;

/**
 * Brings a volume's files up to date, all at once: a reader that goes through `..data` sees the old files or the new, never a mix.
 *
 * Upstream's layout (pkg/volume/util/atomic_writer.go), which programs rely on: the files lie in a dated folder, the link
 * `..data` names it and is replaced by rename, and every name at the top is a link `name -> ..data/name`. `mountPoints` are folders that
 * stay whatever the files are. Nothing is written where nothing changed. What an earlier call left half-made is cleared away. Gives whether
 * the files changed.
 */
export function writeFilesAtomically(directory: string, files: readonly VolumeFile[], mountPoints: readonly string[] = []): boolean {
  const wanted = new Map(files.map((file) => [splitFilePath(file.path).join("/"), file]));
  refuseFoldersUnderFiles(wanted);
  const names = volumeNames(new Set(wanted.keys()), mountPoints);
  const current = currentGeneration(directory);
  const changed = current === undefined || !isEqual(join(directory, current), wanted);
  const generation = changed ? writeGeneration(directory, wanted) : current;
  makeNames(directory, names);
  if (changed) switchTo(directory, generation);
  removeStaleNames(directory, names);
  removeStale(directory, generation);
  return changed;
}

/** `a` and `a/b` cannot both be. */
function refuseFoldersUnderFiles(wanted: ReadonlyMap<string, VolumeFile>): void {
  for (const path of wanted.keys()) {
    for (const folder of foldersAbove(path)) {
      if (wanted.has(folder)) throw new EngineError("VOLUME_FAILED", `Cannot write ${path} into a volume: ${folder} is a file in it`);
    }
  }
}

/** The name of the folder that `..data` points to; undefined where there is none, or where it is not one of ours. */
function currentGeneration(directory: string): string | undefined {
  try {
    const target = readlinkSync(join(directory, DATA));
    return GENERATION.test(target) && lstatSync(join(directory, target)).isDirectory() ? target : undefined;
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "EINVAL")) return undefined;
    throw cause;
  }
}

function isEqual(generation: string, wanted: ReadonlyMap<string, VolumeFile>): boolean {
  const present = readdirSync(generation, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory());
  if (present.length !== wanted.size) return false;
  return present.every((entry) => {
    const path = join(entry.parentPath, entry.name);
    const file = wanted.get(path.slice(generation.length + 1));
    if (file === undefined || !entry.isFile()) return false;
    const stats = lstatSync(path);
    return (stats.mode & 0o7777) === file.mode && stats.size === file.content.byteLength && readFileSync(path).equals(file.content);
  });
}

function writeGeneration(directory: string, wanted: ReadonlyMap<string, VolumeFile>): string {
  const name = makeGeneration(directory);
  const generation = join(directory, name);
  for (const [path, file] of wanted) {
    for (const folder of foldersAbove(path)) makeFolder(join(generation, folder));
    const target = join(generation, path);
    writeFileSync(target, file.content, { flag: "wx", mode: 0o600 });
    chmodSync(target, file.mode); // the mode asked for, whatever the umask
  }
  return name;
}

function makeGeneration(directory: string): string {
  for (;;) {
    const name = `..${new Date().toISOString().slice(0, 19).replace(/[-T:]/g, "_")}.${randomInt(2 ** 32)}`;
    try {
      mkdirSync(join(directory, name));
      chmodSync(join(directory, name), 0o755);
      return name;
    } catch (cause) {
      if (!isErrno(cause, "EEXIST")) throw cause;
    }
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path);
    chmodSync(path, 0o755);
  } catch (cause) {
    if (!isErrno(cause, "EEXIST")) throw cause;
  }
}

function switchTo(directory: string, generation: string): void {
  const temporary = join(directory, DATA_TEMPORARY);
  rmSync(temporary, { force: true });
  symlinkSync(generation, temporary);
  renameSync(temporary, join(directory, DATA));
}

/** Only what this file made: dated folders. */
function removeStale(directory: string, generation: string): void {
  for (const name of readdirSync(directory)) {
    if (GENERATION.test(name) && name !== generation) rmSync(join(directory, name), { recursive: true, force: true });
  }
}
