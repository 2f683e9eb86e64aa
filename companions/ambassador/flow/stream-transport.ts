import type { Socket } from "node:net";
import { nobody, type Receiver, type Sender, type Transport, type TransportOwner } from "./transport.ts";

/** A connection that is one of Node's sockets: TLS, and what somebody else made. */
export class StreamTransport implements Transport {
  owner: TransportOwner = nobody;
  receiver: Receiver = nobody;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.pause();
    socket.on("data", this.#onData).on("end", this.#onEnd).on("error", this.#onError).on("close", this.#onClose);
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  get bytesWritten(): number {
    return this.#socket.bytesWritten;
  }

  get unsent(): number {
    return this.#socket.writableLength;
  }

  get isWritable(): boolean {
    return this.#socket.writable;
  }

  get isClosed(): boolean {
    return this.#socket.destroyed;
  }

  resume(): void {
    if (!this.#socket.destroyed) this.#socket.resume();
  }

  pause(): void {
    this.#socket.pause();
  }

  send(bytes: Buffer, length: number, isOwned: boolean, sender: Sender): boolean {
    const socket = this.#socket;
    if (!socket.writable) return false;
    const sent = bytes.subarray(0, length);
    if (socket.write(isOwned ? sent : Buffer.from(sent))) return true;
    socket.once("drain", () => sender.onRoom());
    return false;
  }

  write(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  end(onSent?: () => void): void {
    this.#socket.end();
    if (onSent !== undefined) this.#socket.once("finish", onSent);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** TLS has no such thing, and resetting what is beneath it would lose its alert. */
  reset(): void {
    this.#socket.destroy();
  }

  release(): Socket {
    const socket = this.#socket;
    socket.pause();
    socket.off("data", this.#onData).off("end", this.#onEnd).off("error", this.#onError).off("close", this.#onClose);
    return socket;
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.receiver.pass(chunk, chunk.length, true)) this.#socket.pause();
  };

  readonly #onEnd = (): void => this.owner.onEnd();
  readonly #onError = (error: Error): void => this.owner.onError(error);
  readonly #onClose = (): void => this.owner.onClose();
}
