import type { Socket } from "node:net";

/** Where the bytes of a transport go. */
export interface Receiver {
  /** The first `count` bytes of `buffer`, which are the receiver's to keep only where `isOwned`. False: no more until the transport is resumed. */
  pass(buffer: Buffer, count: number, isOwned: boolean): boolean;
}

/** Who sends. */
export interface Sender {
  /** There is room again for what the sender has. */
  onRoom(): void;
}

/** Who hears how a transport ends. Each is called once at most, `onClose` always and last; it may be within a call of the transport. */
export interface TransportOwner extends Receiver {
  /** The other side sends no more, and all that it sent was passed. */
  onEnd(): void;
  /** The connection broke; it is closed next. */
  onError(error: Error): void;
  /** Both directions are over. */
  onClose(): void;
}

/** What a wire is made of: a plain connection, or one that goes through Node's streams, as TLS does. It begins paused. */
export interface Transport {
  owner: TransportOwner;
  /** The owner, until another is put in its place. */
  receiver: Receiver;
  /** Of TLS, those within. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Bytes that are kept until the other side takes them. */
  readonly unsent: number;
  /** Neither ended by us nor closed. */
  readonly isWritable: boolean;
  readonly isClosed: boolean;
  resume(): void;
  pause(): void;
  /** See `Wire.send`. */
  send(bytes: Buffer, length: number, isOwned: boolean, sender: Sender): boolean;
  /** Sends bytes that do not change any more; keeps what cannot go at once. */
  write(bytes: Uint8Array): void;
  /** Sends the end after what was written; then calls back, unless the connection broke before. Safe to repeat, though not to be told twice. */
  end(onSent?: () => void): void;
  destroy(): void;
  reset(): void;
  /** Gives the connection up, paused, as one of Node's sockets: nobody hears of it here any more. */
  release(): Socket;
}

/** Until a wire has taken a transport over; it is paused until then. */
export const nobody: TransportOwner = { pass: () => false, onEnd() {}, onError() {}, onClose() {} };
