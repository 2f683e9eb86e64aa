import { type FileHandle, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { delay, isErrno, watchFolder } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { LogFormat, wantedStream } from "./log-format.ts";
import type { LogOptions } from "./logs.ts";
import { findTailStart } from "./tail-start.ts";

export interface ReadLogOptions extends LogOptions {
  /** The container's log file, in CRI format. */
  readonly path: string;
  /** For `follow`: resolves when the container has ended, so that nothing more will be written. None: follows until the abort. */
  readonly finished?: Promise<unknown>;
}

const CHUNK_BYTES = 64 * 1024;
const LOOK_EVERY_MS = 1_000; // in case the watch misses a change

/**
 * Reads a container's log. Ends at the end of the file; with `follow`, when the container has finished and everything was given, or when
 * the signal is aborted. Goes on in the new file after a rotation; rotated files are not read, as upstream's kubelet doesn't.
 * Throws LOG_NOT_FOUND.
 */
export async function* readLog(options: ReadLogOptions, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const format = new LogFormat(options);
  const reader = await LogReader.open(options.path);
  const changes = options.follow ? new Changes(options.path, options.finished) : undefined;
  try {
    if (options.tailLines !== undefined) await reader.seekTail(options.tailLines, wantedStream(options));
    for (;;) {
      const isFinished = changes === undefined || changes.isFinished; // before the read: what it then finds is all
      for (let chunk = await reader.read(); chunk !== undefined; chunk = await reader.read()) {
        const shown = format.push(chunk);
        if (shown.length > 0) yield shown;
        if (format.isFull || signal.aborted) return;
      }
      if (options.follow && (await reader.openNext())) continue;
      if (isFinished) break;
      await changes.next(signal);
      if (signal.aborted) return;
    }
    const last = format.end();
    if (last.length > 0) yield last;
  } finally {
    changes?.close();
    await reader.close();
  }
}

/** A place in a log file, which may be renamed and followed by another under its name. */
class LogReader {
  readonly #path: string;
  #file: FileHandle;
  #position = 0;

  static async open(path: string): Promise<LogReader> {
    try {
      return new LogReader(path, await open(path, "r"));
    } catch (cause) {
      if (isErrno(cause, "ENOENT")) throw new EngineError("LOG_NOT_FOUND", `Cannot find the log ${path}`, { cause });
      throw cause;
    }
  }

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  async seekTail(lines: number, stream: "stdout" | "stderr" | undefined): Promise<void> {
    this.#position = await findTailStart(this.#file, lines, stream);
  }

  /** The next bytes; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    const { bytesRead, buffer } = await this.#file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, this.#position);
    this.#position += bytesRead;
    return bytesRead === 0 ? undefined : buffer.subarray(0, bytesRead);
  }

  /**
   * At the end of a file that was rotated away, goes over to the new one; gives true where there is more to read.
   * The writer opens the new file and never again writes to the old: seen the new one, what is now in the old one is all of it.
   */
  async openNext(): Promise<boolean> {
    const [own, current] = [await this.#file.stat(), await statIfPresent(this.#path)];
    if (own.size > this.#position) return true;
    if (own.size < this.#position) this.#position = 0; // truncated in place
    if (current === undefined || (current.ino === own.ino && current.dev === own.dev)) return own.size > this.#position;
    if ((await this.#file.stat()).size > this.#position) return true;
    const next = await LogReader.open(this.#path);
    await this.#file.close();
    [this.#file, this.#position] = [next.#file, 0];
    return true;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** Tells of changes in a log's directory: of writes, of a rotation, of the container's end. */
class Changes {
  readonly #watching;
  #isFinished = false;
  #hasChanged = false;
  #wake: () => void = () => {};

  constructor(path: string, finished: Promise<unknown> | undefined) {
    this.#watching = watchFolder(dirname(path), () => this.#notice()); // what it misses, the regular look finds
    const finish = (): void => {
      this.#isFinished = true;
      this.#notice();
    };
    void finished?.then(finish, finish);
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** Resolves after a change since the last call, or after a while; also when the signal is aborted. */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.#hasChanged) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const stop = new AbortController();
      const timer = delay(LOOK_EVERY_MS, AbortSignal.any([signal, stop.signal])).catch(() => {}); // aborted: look now
      await Promise.race([promise, timer]);
      stop.abort();
    }
    this.#hasChanged = false;
  }

  close(): void {
    this.#watching[Symbol.dispose]();
  }

  #notice(): void {
    this.#hasChanged = true;
    this.#wake();
  }
}

async function statIfPresent(path: string): Promise<{ ino: number; dev: number } | undefined> {
  try {
    return await stat(path);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return undefined;
    throw cause;
  }
}
