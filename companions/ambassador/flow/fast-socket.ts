import { writeSync } from "node:fs";
import { Socket, type SocketConstructorOpts } from "node:net";

/**
 * The parts of Node's sockets that make forwarding fast, in one place, for they lie at the edge of its interface (Node 24):
 * `handle` of the constructor and `_handle.fd` are not in the documentation. docs/decisions/0009 has the measurements.
 */

/** What is read when little comes. Everything that one side of an idle connection may come to hold. */
const NARROW_BYTES = 32 * 1024;

/** What is read at a time when much comes: a system call for each MiB. */
const WIDE_BYTES = 1024 * 1024;

/** So many sockets may read widely at a time. A receiver that is slow then makes us keep up to 1 MiB for each of them, and 32 KiB for each other. */
const WIDE_READERS = 64;

/** Called with each read. The bytes are valid only during the call. False: no more until the socket is resumed. */
export type Receive = (buffer: Buffer, count: number) => boolean;

/** The buffer that all sockets of a thread read into: what is read is passed on, or copied, before the next read. Untouched, it takes no memory. */
class SharedBuffer {
  readonly wide = Buffer.allocUnsafeSlow(WIDE_BYTES);
  readonly narrow = this.wide.subarray(0, NARROW_BYTES);
  wideReaders = 0;
}

// One for the thread, since its content means nothing between two reads; were it handed around, every caller of `dial` would carry it.
const shared = new SharedBuffer();

/** Reads one socket through the shared buffer: no allocation for a read, none held by an idle connection. */
export class FastReader {
  /** Where bytes go; replaced as the connection proceeds. */
  receive: Receive = () => false;
  #isWide = false;
  #next: Buffer | undefined = shared.narrow;

  /** A paused socket over an accepted handle, or one that is yet to be connected. */
  open(handle?: NativeHandle): Socket {
    const options: Omit<SocketConstructorOpts, "handle"> & { readonly handle: NativeHandle | undefined; readonly manualStart: true } = {
      handle, // this and the next are what its types do not know
      manualStart: true,
      allowHalfOpen: true,
      onread: {
        // Asked after each read; none means the same again, which its type does not say.
        buffer: () => this.#takeNext() as Buffer,
        callback: (count, buffer) => this.#receive(buffer as Buffer, count), // it is one of the above
      },
    };
    const socket = new Socket(options as SocketConstructorOpts);
    socket.once("close", () => this.#narrow());
    return socket;
  }

  #takeNext(): Buffer | undefined {
    const next = this.#next;
    this.#next = undefined;
    return next;
  }

  #receive(buffer: Buffer, count: number): boolean {
    if (count === buffer.length) this.#widen();
    else if (this.#isWide && count < NARROW_BYTES) this.#narrow();
    return this.receive(buffer, count);
  }

  #widen(): void {
    if (this.#isWide || shared.wideReaders >= WIDE_READERS) return;
    this.#isWide = true;
    shared.wideReaders += 1;
    this.#next = shared.wide;
  }

  #narrow(): void {
    if (!this.#isWide) return;
    this.#isWide = false;
    shared.wideReaders -= 1;
    this.#next = shared.narrow;
  }
}

/** An accepted connection, as Node's server gets it from libuv. */
export interface NativeHandle {
  readonly fd: number;
  close(): void;
  setNoDelay?(isOn: boolean): number;
  getpeername?(out: { address?: string; port?: number }): number;
  getsockname?(out: { address?: string; port?: number }): number;
}

/**
 * Hands bytes to the kernel, past the stream: no copy and no request object, since what it takes is taken when this returns. Gives how
 * many it took, which are fewer where its buffer is full. Only for a plain socket that has nothing waiting to be written.
 * Throws what broke the connection (EPIPE, ECONNRESET).
 */
export function writeAtOnce(socket: Socket, bytes: Buffer, length: number): number {
  const fd = handleOf(socket)?.fd ?? -1;
  if (fd < 0) return 0;
  try {
    return writeSync(fd, bytes, 0, length);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "EAGAIN") return 0;
    throw cause;
  }
}

function handleOf(socket: Socket): NativeHandle | null | undefined {
  return (socket as Socket & { _handle?: NativeHandle | null })._handle; // what Node calls it, undocumented
}
