import { type FileHandle, open, stat } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { isErrno } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { heldPath, listRotated } from "./log-files.ts";
import { defaultLogLimits } from "./logs.ts";

const inflate = promisify(gunzip);
const LARGEST_BYTES = 8 * defaultLogLimits.maxSizeBytes;
const TRIES = 5;

/** One file of a log, opened. Compressed ones are inflated into memory when they are first read: they are as long as one file at most. */
export class LogFile {
  readonly #file: FileHandle;
  readonly #isCompressed: boolean;
  readonly inode: number;
  #plain: Buffer | undefined;

  private constructor(file: FileHandle, inode: number, isCompressed: boolean) {
    this.#file = file;
    this.inode = inode;
    this.#isCompressed = isCompressed;
  }

  /** Undefined where there is no such file. */
  static async open(path: string, isCompressed = false): Promise<LogFile | undefined> {
    try {
      const file = await open(path, "r");
      return new LogFile(file, (await file.stat()).ino, isCompressed);
    } catch (cause) {
      if (isErrno(cause, "ENOENT")) return undefined;
      throw cause;
    }
  }

  async sizeBytes(): Promise<number> {
    return this.#isCompressed ? (await this.#inflated()).length : (await this.#file.stat()).size;
  }

  /** When it was last written. */
  async modifiedMs(): Promise<number> {
    return (await this.#file.stat()).mtimeMs;
  }

  /** Reads up to `length` bytes at `position`; none at its end. */
  async read(position: number, length: number): Promise<Buffer> {
    if (this.#isCompressed) return (await this.#inflated()).subarray(position, position + length);
    const { bytesRead, buffer } = await this.#file.read(Buffer.allocUnsafe(length), 0, length, position);
    return buffer.subarray(0, bytesRead);
  }

  async close(): Promise<void> {
    this.#plain = undefined;
    await this.#file.close();
  }

  async #inflated(): Promise<Buffer> {
    return (this.#plain ??= await inflate(await this.#file.readFile(), { maxOutputLength: LARGEST_BYTES }));
  }
}

/** Opens all files of a log, the oldest first, as they were at one moment. Throws LOG_NOT_FOUND where there is none. */
export async function openLogFiles(path: string): Promise<[LogFile, ...LogFile[]]> {
  for (let tries = 1; ; tries += 1) {
    const names = await chainOf(path);
    const opened = await Promise.all(names.map(async (one) => LogFile.open(one.path, one.isCompressed)));
    const isTwice = (file: LogFile, index: number): boolean => file.inode === opened[index + 1]?.inode;
    const [first, ...rest] = opened
      .filter((file, index) => file !== undefined && !isTwice(file, index))
      .filter((file) => file !== undefined);
    const after = await chainOf(path);
    const isOfOneMoment = !opened.includes(undefined) && String(names.map(nameOf)) === String(after.map(nameOf));
    const isGood = first !== undefined && (isOfOneMoment || tries === TRIES);
    for (const file of opened) if (!isGood || (file !== first && file !== undefined && !rest.includes(file))) await file?.close();
    if (isGood) return [first, ...rest];
    if (tries === TRIES) throw new EngineError("LOG_NOT_FOUND", `Cannot find the log ${path}`);
  }
}

/** Opens what was begun after a file whose last write was then: what a reader at its end goes on with. Undefined where it is the newest. */
export async function openAfter(path: string, file: LogFile): Promise<LogFile | undefined> {
  const modifiedMs = Math.trunc(await file.modifiedMs());
  const chain = await chainOf(path);
  if (chain.at(-1)?.inode === file.inode) return undefined;
  for (const next of chain) {
    if (next.timeMs <= modifiedMs) continue;
    const opened = await LogFile.open(next.path, next.isCompressed);
    if (opened !== undefined && opened.inode !== file.inode) return opened;
    await opened?.close();
  }
  return undefined;
}

interface Name {
  readonly path: string;
  readonly timeMs: number;
  readonly isCompressed: boolean;
  readonly inode?: number;
}

/** All names of a log's files, the oldest first. */
async function chainOf(path: string): Promise<Name[]> {
  const named = async (name: string): Promise<Name[]> => {
    try {
      return [{ path: name, timeMs: Number.POSITIVE_INFINITY, isCompressed: false, inode: (await stat(name)).ino }];
    } catch (cause) {
      if (isErrno(cause, "ENOENT")) return [];
      throw cause;
    }
  };
  return [...(await listRotated(path)), ...(await named(heldPath(path))), ...(await named(path))];
}

function nameOf({ path, inode }: Name): string {
  return `${path} ${inode}`;
}
