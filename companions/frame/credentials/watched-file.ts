import { closeSync, constants, openSync, readSync } from "node:fs";
import { getSystemErrorMap } from "node:util";

/** Larger than every secret and certificate bundle in use (Debian's has 220 KB). */
export const PEM_LIMIT_BYTES = 1024 * 1024;

/** What is read is compared here first: a file that says what it said before costs no memory. Never read by two at once: reading is synchronous. */
const scratch = Buffer.alloc(PEM_LIMIT_BYTES + 1);

export interface WatchedFileOptions {
  readonly path: string;
  readonly limitBytes: number;
  /** Why content cannot be used; undefined: it can. Half a file is seen here, where the content shows it. */
  readonly judge: (content: Buffer) => string | undefined;
  /** Gives a number that no content had before, of this file or another: what is derived from a content is kept by it. */
  readonly nextVersion: () => number;
  /** Called once each time the file stops being good, with a reason that has nothing of its content. */
  readonly onProblem: (path: string, reason: string) => void;
  /** Called once each time it is good again after that, or has another good content than before. */
  readonly onGood: (path: string, what: "back" | "changed") => void;
}

/**
 * A file whose last good content stays when it goes missing, is emptied, or is caught half-written. It is read and compared whole at each
 * look: times, sizes and events of a file miss changes, as when a kubelet swaps the link that all files of a Secret lie behind.
 */
export class WatchedFile {
  readonly #options: WatchedFileOptions;
  #content: Buffer | undefined;
  #version = 0;
  #problem: string | undefined;

  constructor(options: WatchedFileOptions) {
    this.#options = options;
  }

  get path(): string {
    return this.#options.path;
  }

  /** Another for each content that was good; 0: there was none yet. */
  get version(): number {
    return this.#version;
  }

  /** The last good content; undefined: there was none yet. */
  get content(): Buffer | undefined {
    return this.#content;
  }

  /** Why the file is no good now; undefined: it is. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Reads the file again. Never throws. About 4 µs for a small file in the page cache. */
  look(): void {
    const { path, limitBytes, judge, onGood } = this.#options;
    const read = readInto(scratch, path, limitBytes);
    if (typeof read === "string") {
      this.#fail(read);
      return;
    }
    const isSame = this.#content !== undefined && read.equals(this.#content);
    const problem = isSame ? undefined : judge(read);
    if (problem !== undefined) {
      this.#fail(problem);
      return;
    }
    const wasGood = this.#problem === undefined;
    this.#problem = undefined;
    if (!isSame) {
      const isFirst = this.#content === undefined;
      this.#content = Buffer.from(read);
      this.#version = this.#options.nextVersion();
      if (!isFirst) onGood(path, "changed");
      else if (!wasGood) onGood(path, "back");
    } else if (!wasGood) onGood(path, "back");
  }

  #fail(problem: string): void {
    const isNew = this.#problem === undefined;
    this.#problem = problem;
    if (isNew) this.#options.onProblem(this.#options.path, problem);
  }
}

/** What the file holds, as a part of `buffer`, or why it cannot be had. */
function readInto(buffer: Buffer, path: string, limitBytes: number): Buffer | string {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK); // a FIFO in its place must not hold the whole program
    let length = 0;
    while (length <= limitBytes) {
      const got = readSync(file, buffer, length, limitBytes + 1 - length, null);
      if (got === 0) break;
      length += got;
    }
    if (length === 0) return "is empty";
    return length > limitBytes ? `is over ${limitBytes / 1024} KiB` : buffer.subarray(0, length);
  } catch (cause) {
    return describe(cause);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function describe(cause: unknown): string {
  const { errno = 0, code = "" } = cause as NodeJS.ErrnoException; // all that fs throws for a path
  const [, words = String(code)] = getSystemErrorMap().get(errno) ?? [];
  return code === "ENOENT" ? "is missing" : `cannot be read: ${words}`;
}
