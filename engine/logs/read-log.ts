import { dirname } from "node:path";
import { delay, watchFolder } from "@peapod/kit";
import { type LogFile, openAfter, openLogFiles } from "./log-chain.ts";
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
 * Reads a container's log, all of its files, the oldest first. Ends where the log ended when it was opened, however fast it grows; with
 * `follow`, when the container has finished and everything was given, or when the signal is aborted, which also lets go of the files at once,
 * whether the caller reads on or not. Throws LOG_NOT_FOUND.
 */
export async function* readLog(options: ReadLogOptions, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const format = new LogFormat(options);
  const reader = await LogReader.open(options.path, options.follow);
  const changes = options.follow ? new Changes(options.path, options.finished) : undefined;
  const letGo = (): void => void reader.close();
  signal.addEventListener("abort", letGo, { once: true });
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
  } catch (cause) {
    if (!signal.aborted) throw cause; // the files were closed under the read
  } finally {
    signal.removeEventListener("abort", letGo);
    changes?.close();
    await reader.close();
  }
}

/** A place in the files of a log, of which the last may be put aside and followed by another. */
class LogReader {
  readonly #path: string;
  readonly #files: [LogFile, ...LogFile[]];
  /** Of the last file, when it was opened. */
  readonly #sizeBytes: number;
  /** What is written later is read, too. */
  readonly #follow: boolean;
  #index = 0;
  #position = 0;

  static async open(path: string, follow: boolean): Promise<LogReader> {
    const files = await openLogFiles(path);
    return new LogReader(path, files, { sizeBytes: (await files.at(-1)?.sizeBytes()) ?? 0, follow });
  }

  private constructor(path: string, files: [LogFile, ...LogFile[]], { sizeBytes, follow }: { sizeBytes: number; follow: boolean }) {
    this.#path = path;
    this.#files = files;
    this.#sizeBytes = sizeBytes;
    this.#follow = follow;
  }

  get #file(): LogFile {
    return this.#files[this.#index] ?? this.#files[0];
  }

  get #isAtLast(): boolean {
    return this.#index === this.#files.length - 1;
  }

  async seekTail(lines: number, stream: "stdout" | "stderr" | undefined): Promise<void> {
    ({ index: this.#index, position: this.#position } = await findTailStart(this.#files, this.#sizeBytes, lines, stream));
  }

  /** The next bytes; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const length = this.#isAtLast && !this.#follow ? Math.min(CHUNK_BYTES, this.#sizeBytes - this.#position) : CHUNK_BYTES;
      const bytes = length > 0 ? await this.#file.read(this.#position, length) : Buffer.alloc(0);
      this.#position += bytes.length;
      if (bytes.length > 0) return bytes;
      if (this.#isAtLast) return undefined;
      await this.#file.close();
      this.#index += 1;
      this.#position = 0;
    }
  }

  /**
   * At the end of a file that was put aside, goes over to the one after it; gives true where there is more to read.
   * The writer opens the new file and never again writes to the old: seen the new one, what is now in the old one is all of it.
   */
  async openNext(): Promise<boolean> {
    const sizeBytes = await this.#file.sizeBytes();
    if (sizeBytes > this.#position) return true;
    if (sizeBytes < this.#position) this.#position = 0; // truncated in place
    const next = await openAfter(this.#path, this.#file);
    if (next === undefined) return sizeBytes > this.#position;
    this.#files.push(next);
    return true;
  }

  /** Safe to repeat. */
  async close(): Promise<void> {
    await Promise.all(this.#files.map(async (file) => file.close()));
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
