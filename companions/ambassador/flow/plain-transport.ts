import { writeSync } from "node:fs";
import { Socket } from "node:net";
import { isErrno } from "@peapod/kit";
import { keepAlive } from "./keep-alive.ts";
import {
  END_OF_FILE,
  makeShutdownRequest,
  type NativeHandle,
  nativeError,
  readInto,
  type Reader,
  wasQueued,
  type WriteRequest,
} from "./native.ts";
import { CLIENT, type SideIndex, UPSTREAM } from "./pump/counts.ts";
import type { Loan } from "./pump/pump.ts";
import { NARROW_BYTES, shared, SMALL_BYTES, WIDE_READERS } from "./shared-buffer.ts";
import { nobody, type Receiver, type Sender, type Transport, type TransportOwner } from "./transport.ts";

/**
 * A plain connection over the bare handle: a `net.Socket` and its two streams would cost as much again as all that is done here, in time
 * for each connection and in memory for each that idles. It reads through the shared buffer, and hands what is to be sent to the kernel at once.
 */
export class PlainTransport implements Transport, Reader {
  owner: TransportOwner = nobody;
  receiver: Receiver = nobody;
  isWritable = true;
  isClosed = false;
  slot = 0;
  readonly #handle: NativeHandle;
  #read = 0;
  #written = 0;
  #unsent = 0;
  #isReading = false;
  #isWide = false;
  #hasEnded = false;
  /** The end was asked for, and is not sent yet. */
  #isEnding = false;
  /** Waits for room. */
  #sender: Sender | undefined;
  #probesAfterSeconds = 0;
  /** Whom the socket is lent to, and as which side. */
  #loan: Loan | undefined;
  #side: SideIndex = CLIENT;

  /** Takes over a handle that is connected, or about to be. */
  constructor(handle: NativeHandle) {
    this.#handle = handle;
    readInto(handle, shared.narrow, this);
  }

  get bytesRead(): number {
    return this.#read + (this.#loan?.bytesFrom(this.#side) ?? 0);
  }

  get bytesWritten(): number {
    return this.#written + (this.#loan?.bytesFrom(this.#side === CLIENT ? UPSTREAM : CLIENT) ?? 0);
  }

  get unsent(): number {
    return this.#loan === undefined ? this.#unsent : this.#loan.unsentTo(this.#side);
  }

  /** Whether it could be lent: both of its directions go on, and it keeps nothing. */
  get isLendable(): boolean {
    return this.isWritable && !this.#hasEnded && this.#unsent === 0 && this.#loan === undefined;
  }

  get fd(): number {
    return this.#handle.fd;
  }

  /** Another thread reads and writes it from now on, so that nothing is heard of it here, until `endLoan`; it can be closed meanwhile. */
  lendTo(loan: Loan, side: SideIndex): void {
    this.pause();
    if (this.#isWide) this.#narrow(); // it reads here no more: another may read widely
    this.#loan = loan;
    this.#side = side;
  }

  /** It is back, and of no use any more: both of its directions have ended, or an error broke them. */
  endLoan(error: Error | undefined): void {
    if (this.isClosed) return;
    if (error !== undefined) return this.#fail(error);
    this.isWritable = false;
    this.#end();
  }

  /** Has the kernel ask, after so much silence, whether the other side is still there. */
  keepAlive(ms: number): void {
    this.#probesAfterSeconds = Math.max(1, Math.round(ms / 1000));
    keepAlive.add(this);
  }

  /** The time has come for what `keepAlive` asked for. */
  probe(): void {
    keepAlive.delete(this);
    this.#handle.setKeepAlive?.(true, this.#probesAfterSeconds);
    this.#probesAfterSeconds = 0;
  }

  resume(): void {
    if (this.#isReading || this.#hasEnded || this.isClosed || this.#loan !== undefined) return;
    this.#isReading = true;
    const status = this.#handle.readStart();
    if (status !== 0) this.#fail(nativeError("read", status));
  }

  pause(): void {
    if (!this.#isReading) return;
    this.#isReading = false;
    this.#handle.readStop();
  }

  send(bytes: Buffer, length: number, isOwned: boolean, sender: Sender): boolean {
    if (!this.isWritable) return false;
    if (this.#unsent > 0) this.#queue(isOwned ? bytes.subarray(0, length) : Buffer.from(bytes.subarray(0, length)));
    else if (length <= SMALL_BYTES) this.#sendSmall(bytes, length, isOwned);
    else if (isOwned) this.#queue(bytes.subarray(0, length));
    else this.#sendLarge(bytes, length);
    if (this.#unsent === 0) return this.isWritable;
    this.#sender = sender;
    return false;
  }

  write(bytes: Uint8Array): void {
    if (this.isWritable && bytes.length > 0) this.#queue(bytes);
  }

  end(onSent?: () => void): void {
    if (!this.isWritable || this.#loan !== undefined) return;
    this.isWritable = false;
    this.#isEnding = true;
    const done = (): void => {
      this.#isEnding = false;
      if (this.isClosed) return;
      onSent?.();
      if (this.#hasEnded) this.destroy();
    };
    const status = this.#handle.shutdown(makeShutdownRequest(done));
    if (status !== 0) done(); // there is nobody left to tell
  }

  destroy(): void {
    if (this.isClosed) return;
    this.#close();
    this.#giveUp(() => this.#handle.close());
  }

  reset(): void {
    if (this.isClosed) return;
    // libuv refuses while the end is on its way, and Node would not close the handle then.
    if (this.#isEnding || this.#handle.reset === undefined) return this.destroy();
    this.#close();
    this.#giveUp(() => this.#handle.reset?.());
  }

  #giveUp(close: () => void): void {
    if (this.#loan === undefined) close();
    else this.#loan.end(close);
    this.owner.onClose();
  }

  /** For TLS, which reads beneath the socket: this one passes nothing on. */
  release(): Socket {
    this.pause();
    if (this.#probesAfterSeconds > 0) this.probe();
    this.#close();
    this.#handle.reader = undefined;
    const given: object = { handle: this.#handle, manualStart: true }; // which its types do not know
    return new Socket({ ...given, allowHalfOpen: true });
  }

  take(count: number): Buffer | undefined {
    if (count > 0) {
      this.#read += count;
      const isWide = this.#isWide;
      // What is narrow is the beginning of what is wide.
      if (!this.receiver.pass(shared.wide, count, false)) this.pause();
      // What is full asks for more; the first small read says that this is over.
      if (isWide ? count >= NARROW_BYTES : count < NARROW_BYTES) return undefined;
      return isWide ? this.#narrow() : this.#widen();
    }
    if (count === END_OF_FILE) this.#end();
    else if (count < 0) this.#fail(nativeError("read", count));
    return undefined;
  }

  #sendSmall(bytes: Buffer, length: number, isOwned: boolean): void {
    if (isOwned) return this.#queue(bytes.subarray(0, length));
    this.#queue(shared.copy(bytes, length));
    if (this.#unsent > 0) shared.renewOutgoing(); // libuv sends from it yet
  }

  /** Past libuv, which would keep the memory of what the kernel does not take: only that is copied. */
  #sendLarge(bytes: Buffer, length: number): void {
    let sent = 0;
    try {
      sent = writeSync(this.#handle.fd, bytes, 0, length);
    } catch (cause) {
      if (!isErrno(cause, "EAGAIN")) return this.#fail(cause instanceof Error ? cause : new Error(String(cause)));
    }
    this.#written += sent;
    if (sent < length) this.#queue(Buffer.from(bytes.subarray(sent, length)));
  }

  /** Leaves bytes to libuv, which sends at once what it can. They must not change until they are gone. */
  #queue(bytes: Uint8Array): void {
    const { request } = shared;
    const status = this.#handle.writeBuffer(request, bytes);
    if (status !== 0) return this.#fail(nativeError("write", status));
    this.#written += bytes.length;
    if (wasQueued()) this.#await(request, bytes);
  }

  #await(request: WriteRequest, bytes: Uint8Array): void {
    shared.renewRequest();
    this.#unsent += bytes.length;
    request.buffer = bytes;
    request.oncomplete = (status) => {
      if (this.isClosed) return;
      if (status !== 0) return this.#fail(nativeError("write", status));
      this.#unsent -= bytes.length;
      if (this.#unsent > 0) return;
      const sender = this.#sender;
      this.#sender = undefined;
      sender?.onRoom();
    };
  }

  #end(): void {
    this.#isReading = false; // libuv has stopped
    this.#hasEnded = true;
    this.owner.onEnd();
    if (!this.isWritable && !this.#isEnding) this.destroy();
  }

  #fail(error: Error): void {
    if (this.isClosed) return;
    this.owner.onError(error);
    this.destroy();
  }

  #close(): void {
    this.isClosed = true;
    this.isWritable = false;
    this.#isReading = false;
    this.#sender = undefined;
    if (this.#isWide) this.#narrow();
    if (this.#probesAfterSeconds > 0) keepAlive.delete(this);
    this.#probesAfterSeconds = 0;
  }

  #widen(): Buffer | undefined {
    if (this.isClosed || shared.wideReaders >= WIDE_READERS) return undefined;
    this.#isWide = true;
    shared.wideReaders += 1;
    return shared.wide;
  }

  #narrow(): Buffer | undefined {
    if (!this.#isWide) return undefined;
    this.#isWide = false;
    shared.wideReaders -= 1;
    return shared.narrow;
  }
}
