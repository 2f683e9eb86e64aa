import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { isErrno } from "@peapod/kit";
import { makeNode } from "../../linux/libc.ts";
import { addFolder, bytesOf, type FoundFolder, type LayerFolder, LayerFolders, splitPath } from "./layer-folders.ts";
import { LayerBudget, type LayerLimits } from "./layer-limits.ts";
import { clearFolder, removeBelow } from "./layer-removal.ts";
import { setXattrs } from "./layer-xattrs.ts";
import type { TarContent, TarEntry, TarSink } from "../tar/tar-entries.ts";
import { TarError } from "../tar/tar-error.ts";

const whiteoutPrefix = ".wh.";
const opaqueMarker = ".wh..wh..opq";
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, S_IFBLK, S_IFCHR, S_IFIFO } = constants;
const nodeTypes = { "character-device": S_IFCHR, "block-device": S_IFBLK, fifo: S_IFIFO } as const;

/** What an archive is: a layer, on top of what is there, or plain files, in a folder that is empty. */
export type Purpose = "layer" | "files";

/**
 * Writes the entries of an archive below this process's root. Of a layer, whiteouts take away what is there of the layers below, and
 * the nodes that it asks for are made; of plain files neither is. Throws a TarError for an entry that would leave the root or cannot be.
 */
export class LayerWriter implements TarSink {
  readonly #purpose: Purpose;
  readonly #budget: LayerBudget;
  readonly #folders: LayerFolders;

  /** `isEmpty`: nothing is below the root yet. */
  constructor(options: { purpose: Purpose; limits: LayerLimits; isEmpty: boolean }) {
    this.#purpose = options.purpose;
    this.#budget = new LayerBudget(options.limits);
    this.#folders = new LayerFolders(this.#budget, options.isEmpty);
  }

  /** The sum of what was written. */
  get sizeBytes(): number {
    return this.#budget.bytes;
  }

  begin(entry: TarEntry): TarContent | undefined {
    try {
      this.#budget.entry();
      this.#budget.take(entry.storedBytes);
      return this.#write(entry);
    } catch (cause) {
      throw blame(cause, entry);
    }
  }

  /** Gives the folders their owners, modes and times: the inner ones first. */
  finish(): void {
    finishFolder("", this.#folders.root);
  }

  #write(entry: TarEntry): TarContent | undefined {
    const parts = splitPath(entry.path);
    const name = parts.pop();
    if (name === undefined) {
      if (entry.kind !== "directory") throw new TarError("It would replace the root of the image");
      this.#folders.root.entry = entry;
      return undefined;
    }
    if (this.#purpose === "layer") {
      if (parts.some((part) => part.startsWith(whiteoutPrefix))) return undefined; // aufs keeps its own things in there
      if (name.startsWith(whiteoutPrefix)) return this.#whiteOut(parts, name);
      // What overlayfs itself has for a whiteout: some make layers of its folders.
      if (entry.kind === "character-device" && entry.major === 0 && entry.minor === 0) return this.#hide(parts, name);
    }
    const at = this.#folders.find(parts, { create: true });
    if (at === undefined) throw new Error("No folder where one is made");
    this.#budget.depth(at.way.length);
    if (!this.#makeWay(at, name, entry)) return undefined;
    for (const folder of at.way.toReversed()) {
      if (folder.isOwn) break;
      folder.isOwn = true;
    }
    return this.#make(at, name, entry);
  }

  #whiteOut(parts: readonly string[], name: string): undefined {
    const hidden = name.slice(whiteoutPrefix.length);
    if (name === opaqueMarker) {
      const at = this.#folders.find(parts, { create: false });
      if (at !== undefined) clearFolder(at.path, at.folder, this.#budget);
    } else if (hidden === "" || hidden === "." || hidden === "..") throw new TarError("It is a whiteout of nothing");
    else if (!hidden.startsWith(whiteoutPrefix)) this.#hide(parts, hidden);
  }

  /** Takes away what the layers below have of a name. What this layer has brought stays: order says nothing. */
  #hide(parts: readonly string[], name: string): undefined {
    const at = this.#folders.find(parts, { create: false });
    if (at === undefined) return;
    const { path, folder } = at;
    const known = folder.children.get(name);
    if (known?.isOwn === true) {
      clearFolder(`${path}/${name}`, known, this.#budget);
      if (known.entry === undefined) setDefaults(`${path}/${name}`);
    } else if (known !== undefined || !(folder.isClear || folder.children.has(name))) {
      removeBelow(`${path}/${name}`, this.#budget);
      folder.children.delete(name);
    }
  }

  /** Removes what stands in the way of an entry; false where the entry is there already. */
  #makeWay({ path: parent, folder }: FoundFolder, name: string, entry: TarEntry): boolean {
    if (folder.isClear && !folder.children.has(name)) return true;
    const path = `${parent}/${name}`;
    this.#budget.step();
    const present = lstatSync(bytesOf(path), { throwIfNoEntry: false });
    if (present === undefined) return true;
    if (present.isDirectory() && entry.kind === "directory") {
      const own = folder.children.get(name) ?? addFolder(folder, name, { isNew: false });
      own.isOwn = true;
      own.entry = entry;
      return false;
    }
    if (entry.kind === "hard-link" && `/${splitPath(entry.target).join("/")}` === path) return false;
    removeBelow(path, this.#budget);
    folder.children.delete(name);
    return true;
  }

  #make({ path: parent, folder }: FoundFolder, name: string, entry: TarEntry): TarContent | undefined {
    const path = `${parent}/${name}`;
    if (entry.kind === "directory") {
      mkdirSync(bytesOf(path), { mode: 0o700 });
      addFolder(folder, name, { isNew: true }).entry = entry;
      return undefined;
    }
    folder.children.set(name, undefined);
    switch (entry.kind) {
      case "file":
        return writeFile(path, entry);
      case "symlink":
        symlinkSync(Buffer.from(entry.target, "latin1"), bytesOf(path));
        lchownSync(bytesOf(path), entry.uid, entry.gid);
        break;
      case "hard-link":
        this.#link(path, entry);
        return undefined;
      case "character-device":
      case "block-device":
      case "fifo":
        if (this.#purpose === "files") throw new TarError("It is a device or a pipe: an archive of images has none");
        makeNode(bytesOf(path), nodeTypes[entry.kind] | 0o600, entry.major, entry.minor);
        lchownSync(bytesOf(path), entry.uid, entry.gid);
        chmodSync(bytesOf(path), entry.mode);
        break;
    }
    setXattrs(path, entry);
    setTimes(path, entry);
    return undefined;
  }

  /** A link to a file of the layers below brings all of it into this one: overlayfs copies it. */
  #link(path: string, entry: TarEntry): void {
    const parts = splitPath(entry.target);
    const name = parts.pop();
    if (name === undefined) throw new TarError("It is a hard link to the root");
    const at = this.#folders.find(parts, { create: false });
    const target = `${at?.path}/${name}`;
    const missing = `It is a hard link to "${entry.target}", which is not there`;
    if (at === undefined) throw new TarError(missing);
    try {
      if (!at.folder.children.has(name)) this.#budget.take(lstatSync(bytesOf(target)).size);
      linkSync(bytesOf(target), bytesOf(path));
    } catch (cause) {
      if (isErrno(cause, "ENOENT")) throw new TarError(missing, entry.path, { cause });
      if (isErrno(cause, "EPERM", "EMLINK"))
        throw new TarError(`It is a hard link to "${entry.target}", which cannot have one`, entry.path, { cause });
      throw cause;
    }
  }
}

function writeFile(path: string, entry: TarEntry): TarContent {
  const fd = openSync(bytesOf(path), O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
  return {
    write: (chunk, position) => {
      for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done, chunk.length - done, position + done);
    },
    end: () => {
      if (entry.sizeBytes > entry.storedBytes) ftruncateSync(fd, entry.sizeBytes); // a hole at its end
      fchownSync(fd, entry.uid, entry.gid); // before the mode: it takes the setuid bit away, and capabilities
      fchmodSync(fd, entry.mode);
      setXattrs(path, entry);
      futimesSync(fd, entry.mtimeSeconds, entry.mtimeSeconds);
      closeSync(fd);
    },
  };
}

function finishFolder(path: string, folder: LayerFolder): void {
  for (const [name, child] of folder.children) if (child?.isOwn === true) finishFolder(`${path}/${name}`, child);
  const { entry } = folder;
  if (entry === undefined) return;
  lchownSync(bytesOf(path), entry.uid, entry.gid);
  chmodSync(bytesOf(path), entry.mode);
  setXattrs(path, entry);
  setTimes(path, entry);
}

/** What a folder has that is only implied. */
function setDefaults(path: string): void {
  lchownSync(bytesOf(path), 0, 0);
  chmodSync(bytesOf(path), 0o755);
}

function setTimes(path: string, { mtimeSeconds }: TarEntry): void {
  lutimesSync(bytesOf(path), mtimeSeconds, mtimeSeconds);
}

/** What the archive asked for and the kernel refused is the archive's fault; a full or broken disk is not. */
function blame(cause: unknown, entry: TarEntry): unknown {
  if (cause instanceof TarError) return cause.path === undefined ? new TarError(cause.message, entry.path, { cause }) : cause;
  if (isErrno(cause, "ENAMETOOLONG", "ELOOP", "EINVAL", "ENOTDIR", "EISDIR", "ERANGE", "E2BIG", "EFBIG", "EOVERFLOW", "ERR_OUT_OF_RANGE")) {
    return new TarError(`It cannot be made: ${cause.code}`, entry.path, { cause });
  }
  return cause;
}
