import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { HostPathVolumeSource } from "@peapod/api";
import { isErrno, type Logger, messageOf } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { unmount } from "../linux/libc.ts";
import { removeTree } from "../linux/remove-tree.ts";
import { writeFilesAtomically } from "./atomic-files.ts";
import { prepareHostPath } from "./host-path.ts";
import { mountsUnder } from "./mounts.ts";
import { bindSubPath } from "./sub-path.ts";
import { mountTmpfs } from "./tmpfs.ts";
import { DATA } from "./volume-links.ts";
import type { VolumePlan, VolumeService } from "./volumes.ts";

/** More than any Secret and its next version need; the pages count only once they are written. */
const SECRET_LIMIT_BYTES = 64 * 1024 * 1024;

export interface VolumeOptions {
  /** The volumes lie in `pods/UID/` below it, for root alone. */
  readonly stateDir: string;
  readonly log: Logger;
}

/** Opens the volumes of a node. Nothing runs: what is on disk and mounted outlives the engine and is found again. */
export function openVolumes(options: VolumeOptions): VolumeService {
  const podsDir = join(options.stateDir, "pods");
  mkdirSync(podsDir, { recursive: true, mode: 0o700 });
  return new DiskVolumes(podsDir, options.log);
}

/**
 * A pod's folder: `volumes/NAME` is the volume itself, or a link to what a hostPath names; `subpaths/NAME/HASH` are bind mounts;
 * its own files (`etc-hosts`) lie beside them. Calls are synchronous inside: each is a few system calls on local files.
 */
class DiskVolumes implements VolumeService {
  readonly #podsDir: string;
  readonly #log: Logger;

  constructor(podsDir: string, log: Logger) {
    this.#podsDir = podsDir;
    this.#log = log;
  }

  async setUp(podUid: string, name: string, volume: VolumePlan, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    const pod = this.#podDir(podUid);
    const path = join(pod, "volumes", safeName("volume", name));
    return translating(`Cannot set up volume "${name}"`, () => {
      mkdirSync(join(pod, "volumes"), { recursive: true, mode: 0o700 });
      switch (volume.kind) {
        case "emptyDir":
          makeDirectory(path, 0o777);
          if (volume.medium === "Memory") {
            mountTmpfs(path, { mode: 0o777, ...(volume.sizeLimitBytes === undefined ? {} : { sizeBytes: volume.sizeLimitBytes }) });
          }
          return path;
        case "hostPath":
          return linkHostPath(path, volume.source);
        case "files":
          makeDirectory(path, 0o755);
          if (volume.memory) mountTmpfs(path, { mode: 0o755, sizeBytes: SECRET_LIMIT_BYTES, secret: true });
          writeFilesAtomically(path, volume.files, volume.mountPoints);
          return path;
      }
    });
  }

  async subPath(podUid: string, name: string, subPath: string, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    const pod = this.#podDir(podUid);
    const path = join(pod, "volumes", safeName("volume", name));
    return translating(`Cannot prepare subPath "${subPath}" of volume "${name}"`, () => {
      const source = hostPathOf(path);
      // A folder that something is mounted in has only links to its files: the files themselves are in the folder of now.
      const ofNow = join(DATA, subPath);
      const isOfNow = source === undefined && existsSync(join(path, ofNow));
      return bindSubPath({ volume: source ?? path, subPath: isOfNow ? ofNow : subPath, mountsDir: join(pod, "subpaths", name) });
    });
  }

  async tearDown(podUid: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const pod = this.#podDir(podUid);
    for (const place of mountPlaces(pod)) while (unmount(place));
    // Removing files through a live mount would remove what the mount shows: a hostPath's content. So what is mounted where nothing of ours is goes, too.
    const others = await mountsUnder(pod);
    for (const point of others) unmount(point);
    const left = others.length === 0 ? [] : await mountsUnder(pod);
    if (left.length > 0) throw new EngineError("VOLUME_FAILED", `Cannot remove the volumes of pod ${podUid}: ${left[0]} is still mounted`);
    try {
      await removeTree(pod, signal);
    } catch (cause) {
      signal.throwIfAborted();
      throw new EngineError("VOLUME_FAILED", `Cannot remove the volumes of pod ${podUid}: ${messageOf(cause)}`, { cause });
    }
    this.#log.debug("volumes removed", { podUid });
  }

  async listPods(): Promise<string[]> {
    return readdirSync(this.#podsDir).filter(isSafeName); // not a file system's lost+found
  }

  /**
   * An existing file is written in place: containers see it through a bind mount, which holds on to the inode. They may have written to it,
   * as much as they like: what is in it is never read.
   */
  async writePodFile(podUid: string, name: string, content: string, mode: number, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    const pod = this.#podDir(podUid);
    const path = join(pod, safeName("pod file", name));
    return translating(`Cannot write the pod's file "${name}"`, () => {
      mkdirSync(pod, { recursive: true, mode: 0o700 });
      if (!overwriteFile(path, content, mode)) createFile(path, content, mode);
      return path;
    });
  }

  #podDir(podUid: string): string {
    return join(this.#podsDir, safeName("pod uid", podUid));
  }
}

/** Names become parts of paths: a programmer's mistake otherwise, since the API has checked them. */
function safeName(what: string, name: string): string {
  if (!isSafeName(name)) throw new Error(`Not a ${what}: ${JSON.stringify(name)}`);
  return name;
}

function isSafeName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/.test(name);
}

function translating(doing: string, work: () => string): string {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError("VOLUME_FAILED", `${doing}: ${messageOf(cause)}`, { cause });
  }
}

/** Leaves the mode of one that is there: containers may have changed it. */
function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path);
    chmodSync(path, mode);
  } catch (cause) {
    if (!isErrno(cause, "EEXIST")) throw cause;
  }
}

function linkHostPath(link: string, source: HostPathVolumeSource): string {
  prepareHostPath(source);
  if (hostPathOf(link) !== source.path) {
    const temporary = `${link}.new`;
    rmSync(temporary, { force: true });
    symlinkSync(source.path, temporary);
    renameSync(temporary, link);
  }
  return source.path;
}

function hostPathOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (cause) {
    if (isErrno(cause, "EINVAL", "ENOENT")) return undefined;
    throw cause;
  }
}

/** Where the engine mounts for a pod. */
function mountPlaces(pod: string): string[] {
  return [...entriesOf(join(pod, "subpaths")).flatMap(entriesOf), ...entriesOf(join(pod, "volumes"))];
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ENOTDIR")) return [];
    throw cause;
  }
}

function createFile(path: string, content: string, mode: number): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, content);
  chmodSync(temporary, mode); // whatever the umask took away
  renameSync(temporary, path);
}

/**
 * One write of the whole, then the cut: a reader at the wrong moment sees a longer file, never an empty one. False where there is none.
 * The content may be there already: to know, it would have to be read.
 */
function overwriteFile(path: string, content: string, mode: number): boolean {
  const bytes = Buffer.from(content);
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return false;
    throw cause;
  }
  try {
    writeSync(fd, bytes, 0, bytes.length, 0);
    ftruncateSync(fd, bytes.length);
    fchmodSync(fd, mode);
    return true;
  } finally {
    closeSync(fd);
  }
}
