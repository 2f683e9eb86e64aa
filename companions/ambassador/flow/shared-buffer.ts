import { makeWriteRequest } from "./native.ts";

/** What is read when little comes. Everything that one side of an idle connection may come to hold. */
export const NARROW_BYTES = 32 * 1024;

/** What is read at a time when much comes: a system call for each MiB. */
const WIDE_BYTES = 1024 * 1024;

/** So many sockets may read widely at a time. A receiver that is slow then makes us keep up to 1 MiB for each of them, and 32 KiB for each other. */
export const WIDE_READERS = 64;

/** What is copied to be sent by libuv, rather than written from where it was read by a system call of its own. */
export const SMALL_BYTES = 8 * 1024;

/** What all sockets of a thread share, so that a read and a write allocate nothing, and an idle connection holds nothing. Untouched, it takes no memory. */
class SharedBuffer {
  /** What is read here is passed on, or copied, before the next read. */
  readonly wide = Buffer.allocUnsafeSlow(WIDE_BYTES);
  readonly narrow = this.wide.subarray(0, NARROW_BYTES);
  wideReaders = 0;
  request = makeWriteRequest();
  readonly #incoming = new Views(this.wide);
  /** Small pieces on their way. Unlike the above it belongs to libuv where the kernel did not take all of it, and is replaced then. */
  #outgoing = new Views(Buffer.allocUnsafeSlow(SMALL_BYTES));

  /** A copy of the first bytes of a buffer, at most SMALL_BYTES, to be sent at once. */
  copy(bytes: Buffer, length: number): Buffer {
    const copy = this.#outgoing.first(length);
    copy.set(bytes === this.wide ? this.#incoming.first(length) : bytes.subarray(0, length));
    return copy;
  }

  /** After a write that waits, and keeps the copy. */
  renewOutgoing(): void {
    this.#outgoing = new Views(Buffer.allocUnsafeSlow(SMALL_BYTES));
  }

  /** After a write that waits, and keeps it. */
  renewRequest(): void {
    this.request = makeWriteRequest();
  }
}

/** The beginnings of a buffer. Traffic is of few lengths, and making a view takes longer than copying what is in it. */
class Views {
  readonly #buffer: Buffer;
  readonly #views = new Map<number, Buffer>();

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  first(length: number): Buffer {
    let view = this.#views.get(length);
    if (view === undefined) this.#views.set(length, (view = this.#buffer.subarray(0, length)));
    return view;
  }
}

// One for the thread, since its content means nothing between two reads; were it handed around, every caller of `dial` would carry it.
export const shared = new SharedBuffer();
