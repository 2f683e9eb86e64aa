import { constants } from "node:fs";
import { type FileHandle, lstat, open, readlink, realpath } from "node:fs/promises";
import { join, sep } from "node:path";
import { isErrno } from "@peapod/kit";
import { EngineError } from "../errors.ts";

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
/** Of a manifest, a configuration, a list: all are read whole. */
const DOCUMENT_LIMIT_BYTES = 8 * 1024 * 1024;
/** Of all that are read of one archive. */
const DOCUMENTS_LIMIT_BYTES = 64 * 1024 * 1024;

/** An unpacked archive, or a layout: a folder that somebody foreign filled. */
export class ArchiveFiles {
  readonly #folder: string;
  readonly #path: string;
  #readBytes = 0;

  /** `path` is what the user calls it, in errors. */
  constructor(folder: string, path: string) {
    this.#folder = folder;
    this.#path = path;
  }

  /** Whether it has a regular file of that name. */
  async has(name: string): Promise<boolean> {
    const file = await this.#open(name);
    await file?.close();
    return file !== undefined;
  }

  /** Opens one of its regular files. A symbolic link leads to another of them, or nowhere. Throws IMAGE_INVALID where there is none. */
  async open(name: string): Promise<FileHandle> {
    const file = await this.#open(name);
    if (file !== undefined) return file;
    throw new EngineError("IMAGE_INVALID", `Cannot load ${this.#path}: it has no file "${name}"`);
  }

  /** The whole of a small file. Throws IMAGE_INVALID where there is none, and where it is large. */
  async read(name: string): Promise<Buffer> {
    await using file = await this.open(name);
    const { size } = await file.stat();
    this.#readBytes += size;
    const tooLarge = size > DOCUMENT_LIMIT_BYTES || this.#readBytes > DOCUMENTS_LIMIT_BYTES;
    if (tooLarge) throw new EngineError("IMAGE_INVALID", `Cannot load ${this.#path}: ${name} is too large for what it should be`);
    return await readExactly(file, size); // before it is closed
  }

  async #open(name: string): Promise<FileHandle | undefined> {
    try {
      const root = await realpath(this.#folder);
      const real = await realpath(join(this.#folder, name));
      if (!real.startsWith(root + sep)) return undefined;
      const file = await openRegular(real);
      // Somebody may have put a link in its way meanwhile.
      if (file === undefined || (await readlink(`/proc/self/fd/${file.fd}`)) === real) return file;
      await file.close();
    } catch (cause) {
      if (!isErrno(cause, "ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "ERR_INVALID_ARG_VALUE")) throw cause;
    }
    return undefined;
  }
}

/** Opens a file for reading if it is a regular one; nothing else is even opened: that would wait for a pipe's other end, or set a device going. */
export async function openRegular(path: string): Promise<FileHandle | undefined> {
  if (!(await lstat(path)).isFile()) return undefined;
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if ((await file.stat()).isFile()) return file;
  await file.close();
  return undefined;
}

async function readExactly(file: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  const { bytesRead } = await file.read(bytes, 0, size, 0);
  return bytes.subarray(0, bytesRead);
}
