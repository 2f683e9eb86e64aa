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
  /** Small pieces on their way. Unlike the above it belongs to libuv where the kernel did not take all of it, and is replaced then. */
  outgoing = Buffer.allocUnsafeSlow(SMALL_BYTES);
  request = makeWriteRequest();

  /** After a write that waits, and keeps it. */
  renewOutgoing(): void {
    this.outgoing = Buffer.allocUnsafeSlow(SMALL_BYTES);
  }

  /** Likewise. */
  renewRequest(): void {
    this.request = makeWriteRequest();
  }
}

// One for the thread, since its content means nothing between two reads; were it handed around, every caller of `dial` would carry it.
export const shared = new SharedBuffer();
