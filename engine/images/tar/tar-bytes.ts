import { TarError } from "./tar-error.ts";

/** A byte stream, read by lengths that are known beforehand. It waits only where the stream does. */
export class TarBytes implements AsyncDisposable {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next `length` bytes, few of them; undefined where the stream ends before the first. Throws a TarError where it ends after that. */
  async take(length: number): Promise<Buffer | undefined> {
    if (this.#chunk.length >= length) return this.#cut(length);
    const parts: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      if (this.#chunk.length === 0 && !(await this.#more())) {
        if (missing === length) return undefined;
        throw cutOff();
      }
      const part = this.#cut(Math.min(missing, this.#chunk.length));
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** Hands on the next `length` bytes, as they come. Throws a TarError where the stream ends before. */
  async forward(length: number, to: (chunk: Buffer) => void): Promise<void> {
    for (let missing = length; missing > 0;) {
      if (this.#chunk.length === 0 && !(await this.#more())) throw cutOff();
      const part = this.#cut(Math.min(missing, this.#chunk.length));
      to(part);
      missing -= part.length;
    }
  }

  /** Reads what is left, for those who look on. */
  async drain(): Promise<void> {
    while (await this.#more());
  }

  /** Ends the stream, wherever it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source.return?.();
  }

  #cut(length: number): Buffer {
    const part = this.#chunk.subarray(0, length);
    this.#chunk = this.#chunk.subarray(length);
    return part;
  }

  async #more(): Promise<boolean> {
    const next = await this.#source.next();
    if (next.done === true) return false;
    this.#chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    return true;
  }
}

function cutOff(): TarError {
  return new TarError("The archive is cut off");
}
