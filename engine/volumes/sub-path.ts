import { createHash } from "node:crypto";
import { chmodSync, closeSync, constants, fstatSync, mkdirSync, openSync, realpathSync, statSync, type Stats } from "node:fs";
import { isAbsolute, join } from "node:path";
import { isErrno } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { mount, MS, unmount } from "../linux/libc.ts";

/** Linux, every architecture Node runs on: the descriptor names a file without opening it, so neither a FIFO nor a device blocks or acts. */
const O_PATH = 0o1000_0000;
const TRIES = 3;

export interface SubPathOptions {
  /** The volume's root on the host. */
  readonly volume: string;
  readonly subPath: string;
  /** A folder of the engine's own, which containers cannot reach: the bind mount comes here. */
  readonly mountsDir: string;
}

/**
 * Binds what `subPath` names onto a path that containers cannot touch, and gives that path; repeating it gives the same.
 * A container that writes to the volume may change folders into symlinks at any moment, so (as upstream) every part is opened
 * from its parent's descriptor without following links, and the descriptor, not a path, is what gets mounted. Links that lead to
 * somewhere inside the volume are followed, once, before. Missing folders are made with the mode of the volume's root.
 * Throws VOLUME_FAILED where it would lead out of the volume.
 */
export function bindSubPath(options: SubPathOptions): string {
  const { subPath, mountsDir } = options;
  if (isAbsolute(subPath) || subPath === "" || subPath.includes("\0") || subPath.split("/").includes("..")) {
    throw new EngineError("VOLUME_FAILED", `subPath ${JSON.stringify(subPath)} must be a relative path without '..'`);
  }
  const volume = realpathSync(options.volume);
  const fd = openInside(volume, subPath);
  try {
    const kind = fstatSync(fd).isDirectory() ? "folder" : "file"; // what was one and is now the other gets another path
    const target = join(mountsDir, `${createHash("sha256").update(subPath).digest("hex").slice(0, 32)}.${kind}`);
    bind(fd, target);
    return target;
  } finally {
    closeSync(fd);
  }
}

function bind(fd: number, target: string): void {
  const source = fstatSync(fd);
  const present = statSync(target, { throwIfNoEntry: false });
  if (present !== undefined && isSame(present, source)) return;
  mkdirSync(join(target, ".."), { recursive: true, mode: 0o700 });
  while (unmount(target)); // an earlier one, of something else; running containers keep theirs
  makeTarget(target, source);
  mount(target, { source: `/proc/self/fd/${fd}`, flags: MS.BIND });
}

/** A mount's root shows the very inode that is mounted. */
function isSame(present: Stats, source: Stats): boolean {
  return present.dev === source.dev && present.ino === source.ino;
}

/** An empty folder or file to mount on. */
function makeTarget(target: string, source: Stats): void {
  try {
    if (source.isDirectory()) mkdirSync(target);
    else closeSync(openSync(target, "wx", 0o600));
  } catch (cause) {
    if (!isErrno(cause, "EEXIST")) throw cause;
  }
}

/** A descriptor of what `subPath` names below `volume`, which has no symlinks in it. */
function openInside(volume: string, subPath: string): number {
  for (let attempt = 1; ; attempt++) {
    const { existing, missing } = resolveInside(volume, subPath);
    try {
      return walk(volume, existing, missing);
    } catch (cause) {
      // A folder that came or went meanwhile is tried again; a link that came is not.
      if (attempt >= TRIES || !isErrno(cause, "ENOENT", "EEXIST")) throw cause;
    }
  }
}

/** Follows the links of the part that exists; the rest is to be made. */
function resolveInside(volume: string, subPath: string): { existing: string[]; missing: string[] } {
  const parts = subPath.split("/").filter((part) => part !== "" && part !== ".");
  for (let count = parts.length; ; count--) {
    let real: string;
    try {
      real = realpathSync(join(volume, ...parts.slice(0, count)));
    } catch (cause) {
      if (count > 0 && isErrno(cause, "ENOENT")) continue;
      throw cause;
    }
    if (real !== volume && !real.startsWith(volume === "/" ? "/" : `${volume}/`)) {
      throw new EngineError("VOLUME_FAILED", `subPath ${JSON.stringify(subPath)} leads out of its volume, to ${real}`);
    }
    return { existing: real.slice(volume.length).split("/").filter(Boolean), missing: parts.slice(count) };
  }
}

function walk(volume: string, existing: readonly string[], missing: readonly string[]): number {
  let fd = openSync(volume, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const mode = fstatSync(fd).mode & 0o7777;
  const enter = (name: string): void => {
    const next = openSync(child(fd, name), O_PATH | constants.O_NOFOLLOW);
    closeSync(fd);
    fd = next;
    if (fstatSync(fd).isSymbolicLink()) {
      throw new EngineError("VOLUME_FAILED", `Found a symlink, ${JSON.stringify(name)}, where a folder was a moment ago in ${volume}`);
    }
  };
  try {
    for (const name of existing) enter(name);
    for (const name of missing) {
      mkdirSync(child(fd, name), { mode: 0o700 });
      enter(name);
      if (!fstatSync(fd).isDirectory())
        throw new EngineError("VOLUME_FAILED", `Found ${JSON.stringify(name)} changed a moment after it was made in ${volume}`);
      chmodSync(`/proc/self/fd/${fd}`, mode); // the umask has no say; through the descriptor, so it is the one just opened
    }
    return fd;
  } catch (cause) {
    closeSync(fd);
    throw cause;
  }
}

/** openat(2) and mkdirat(2), as Node has them. */
function child(fd: number, name: string): string {
  return `/proc/self/fd/${fd}/${name}`;
}
