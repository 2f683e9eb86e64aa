import {
  chmodSync,
  closeSync,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { constants } from "node:fs";
import { isErrno } from "@peapod/kit";
import { makeNode, setExtendedAttribute } from "../linux/libc.ts";
import { LayerFolders, splitPath } from "./layer-path.ts";
import { TarError, type TarEntry, type TarSink } from "./tar-entries.ts";

const whiteoutPrefix = ".wh.";
const opaqueMarker = ".wh..wh..opq";
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, S_IFBLK, S_IFCHR, S_IFIFO } = constants;
const nodeTypes = { "character-device": S_IFCHR, "block-device": S_IFBLK, fifo: S_IFIFO } as const;

/** How much one layer may bring: far beyond any real one. */
export interface LayerLimits {
  readonly entries: number;
  readonly bytes: number;
}

/**
 * Writes a layer's entries below this process's root, whiteouts as overlayfs has them: a deleted name as a character device 0/0, a
 * replaced folder marked opaque. Throws a TarError for an entry that would leave the root or cannot be.
 */
export class LayerWriter implements TarSink {
  readonly #limits: LayerLimits;
  readonly #folders = new LayerFolders();
  /** What folders get in the end, when nothing is written into them any more. */
  readonly #folderEntries = new Map<string, TarEntry>();
  readonly #whiteouts = new Set<string>();
  readonly #opaque = new Set<string>();
  #entries = 0;
  #bytes = 0;

  constructor(limits: LayerLimits) {
    this.#limits = limits;
  }

  /** The sum of the files written. */
  get sizeBytes(): number {
    return this.#bytes;
  }

  begin(entry: TarEntry): { write(chunk: Uint8Array): void; end(): void } | undefined {
    try {
      this.#count(entry);
      return this.#write(entry);
    } catch (cause) {
      throw blame(cause, entry);
    }
  }

  /** Completes the layer: whiteouts, then the folders' owners, modes and times. */
  finish(): void {
    for (const path of this.#opaque) {
      const folder = this.#folders.resolve(splitPath(path), { create: true });
      markOpaque(folder);
    }
    for (const path of this.#whiteouts) {
      const present = lstatSync(path, { throwIfNoEntry: false });
      // Order says nothing: a whiteout hides what is below this layer, never what the layer itself brings.
      if (present === undefined) makeNode(path, S_IFCHR, 0, 0);
      else if (present.isDirectory()) markOpaque(path);
    }
    for (const [path, entry] of [...this.#folderEntries].toReversed()) {
      lchownSync(path, entry.uid, entry.gid);
      chmodSync(path, entry.mode);
      setXattrs(path, entry);
      lutimesSync(path, entry.mtimeSeconds, entry.mtimeSeconds);
    }
  }

  #count(entry: TarEntry): void {
    this.#entries += 1;
    if (this.#entries > this.#limits.entries) throw new TarError(`The layer has more than ${this.#limits.entries} entries`);
    if (entry.kind === "file") this.#bytes += entry.sizeBytes;
    if (this.#bytes > this.#limits.bytes) throw new TarError(`The layer has more than ${this.#limits.bytes} bytes`);
  }

  #write(entry: TarEntry): { write(chunk: Uint8Array): void; end(): void } | undefined {
    const parts = splitPath(entry.path);
    const name = parts.pop();
    if (name === undefined) {
      if (entry.kind !== "directory") throw new TarError("It would replace the root of the image");
      this.#folderEntries.set("/", entry);
      return undefined;
    }
    if (parts.some((part) => part.startsWith(whiteoutPrefix))) return undefined; // aufs keeps its own things in there
    const folder = this.#folders.resolve(parts, { create: true });
    if (name.startsWith(whiteoutPrefix)) {
      this.#whiteOut(folder, name);
      return undefined;
    }
    const path = `${folder}/${name}`;
    if (!this.#makeWay(path, entry)) return undefined;
    return this.#make(path, entry);
  }

  #whiteOut(folder: string, name: string): void {
    const hidden = name.slice(whiteoutPrefix.length);
    if (name === opaqueMarker) this.#opaque.add(folder);
    else if (hidden === "" || hidden === "." || hidden === "..") throw new TarError("It is a whiteout of nothing");
    else if (!hidden.startsWith(whiteoutPrefix)) this.#whiteouts.add(`${folder}/${hidden}`);
  }

  /** Removes what stands in the way of an entry; false where the entry is there already, a folder. */
  #makeWay(path: string, entry: TarEntry): boolean {
    const present = lstatSync(path, { throwIfNoEntry: false });
    if (present === undefined) return true;
    if (present.isDirectory() && entry.kind === "directory") {
      this.#folderEntries.set(path, entry);
      return false;
    }
    if (entry.kind === "hard-link" && `/${splitPath(entry.target).join("/")}` === path) return false;
    rmSync(path, { recursive: true });
    this.#folders.forget();
    for (const known of this.#folderEntries.keys()) if (known === path || known.startsWith(`${path}/`)) this.#folderEntries.delete(known);
    return true;
  }

  #make(path: string, entry: TarEntry): { write(chunk: Uint8Array): void; end(): void } | undefined {
    switch (entry.kind) {
      case "file":
        return writeFile(path, entry);
      case "directory":
        mkdirSync(path, { mode: 0o700 });
        this.#folderEntries.set(path, entry);
        return undefined;
      case "symlink":
        symlinkSync(entry.target, path);
        lchownSync(path, entry.uid, entry.gid);
        setXattrs(path, entry);
        lutimesSync(path, entry.mtimeSeconds, entry.mtimeSeconds);
        return undefined;
      case "hard-link":
        this.#link(path, entry);
        return undefined;
      case "character-device":
      case "block-device":
      case "fifo":
        makeNode(path, nodeTypes[entry.kind] | 0o600, entry.major, entry.minor);
        lchownSync(path, entry.uid, entry.gid);
        chmodSync(path, entry.mode);
        setXattrs(path, entry);
        lutimesSync(path, entry.mtimeSeconds, entry.mtimeSeconds);
        return undefined;
    }
  }

  #link(path: string, entry: TarEntry): void {
    const parts = splitPath(entry.target);
    const name = parts.pop();
    if (name === undefined) throw new TarError(`It is a hard link to the root`);
    try {
      linkSync(`${this.#folders.resolve(parts, { create: false })}/${name}`, path);
    } catch (cause) {
      if (isErrno(cause, "ENOENT") || cause instanceof TarError) {
        throw new TarError(`It is a hard link to "${entry.target}", which is not in the layer`, entry.path, { cause });
      }
      if (isErrno(cause, "EPERM"))
        throw new TarError(`It is a hard link to "${entry.target}", which cannot have one`, entry.path, { cause });
      throw cause;
    }
  }
}

function writeFile(path: string, entry: TarEntry): { write(chunk: Uint8Array): void; end(): void } {
  const fd = openSync(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
  return {
    write: (chunk) => {
      for (let rest = chunk; rest.length > 0;) rest = rest.subarray(writeSync(fd, rest));
    },
    end: () => {
      fchownSync(fd, entry.uid, entry.gid); // before the mode: it takes the setuid bit away, and capabilities
      fchmodSync(fd, entry.mode);
      setXattrs(path, entry);
      futimesSync(fd, entry.mtimeSeconds, entry.mtimeSeconds);
      closeSync(fd);
    },
  };
}

/** Only what means the same everywhere: never another machine's labels, never overlayfs' own marks. */
const takenXattrs = /^(?:user\.|security\.capability$|system\.posix_acl_(?:access|default)$)/;

function setXattrs(path: string, entry: TarEntry): void {
  for (const [name, value] of entry.xattrs) {
    if (!takenXattrs.test(name)) continue;
    try {
      setExtendedAttribute(path, name, value);
    } catch (cause) {
      // A file system without them can carry the file; without its capabilities it is another program.
      if (!isErrno(cause, "EOPNOTSUPP", "ENOTSUP", "EPERM") || name === "security.capability") throw cause;
    }
  }
}

function markOpaque(folder: string): void {
  setExtendedAttribute(folder === "" ? "/" : folder, "trusted.overlay.opaque", Buffer.from("y"));
}

/** What the archive asked for and the kernel refused is the archive's fault; a full or broken disk is not. */
function blame(cause: unknown, entry: TarEntry): unknown {
  if (cause instanceof TarError) return cause.path === undefined ? new TarError(cause.message, entry.path, { cause }) : cause;
  if (isErrno(cause, "ENAMETOOLONG", "ELOOP", "EINVAL", "ENOTDIR", "EISDIR", "ERANGE", "E2BIG")) {
    return new TarError(`It cannot be made: ${cause.message}`, entry.path, { cause });
  }
  return cause;
}
