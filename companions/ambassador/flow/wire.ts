import { type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, type SecureContext, TLSSocket } from "node:tls";
import type { Address } from "../config/config.ts";
import { AmbassadorError } from "../errors.ts";
import { FastReader, type NativeHandle, writeAtOnce } from "./fast-socket.ts";

/** Unread bytes that a wire keeps before it stops reading. A handshake's message is smaller, or an attack. */
const READ_AHEAD_BYTES = 64 * 1024;

/** Where a wire's bytes go once nobody pulls them. */
export interface Sink {
  /** The first `count` bytes of `buffer`, which are the sink's to keep only where `isOwned`. False: no more until the wire is resumed. */
  pass(buffer: Buffer, count: number, isOwned: boolean): boolean;
  /** The other side sends no more. */
  end(): void;
  /** The connection broke, or is closed. */
  close(error: Error | undefined): void;
}

/**
 * One side of a connection. During a handshake its bytes are pulled (`read`); after it, `splice` moves them.
 * Nobody may read while another read waits. Half-close is a state: after `end` the other direction goes on.
 */
export class Wire {
  #socket: Socket;
  /** Undefined for a socket that is read in the ordinary way: TLS, and those that somebody else made. */
  #reader: FastReader | undefined;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #hasEnded = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  #sink: Sink | undefined;
  #sentAtOnce = 0;
  readonly #closed = Promise.withResolvers<void>();

  /** Takes a connected socket over, in place of which `accepted` and `dial` make faster ones. */
  constructor(socket: Socket, reader?: FastReader) {
    this.#socket = socket;
    this.#reader = reader;
    if (reader !== undefined) reader.receive = (buffer, count) => this.#keep(Buffer.from(buffer.subarray(0, count)));
    this.#attach(socket);
  }

  /** A wire over a connection that a server has accepted. */
  static accepted(handle: NativeHandle): Wire {
    const reader = new FastReader();
    return new Wire(reader.open(handle), reader);
  }

  /** The socket beneath: for its addresses and TLS facts. */
  get socket(): Socket {
    return this.#socket;
  }

  /** Bytes that came; of TLS, those within. */
  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  /** Bytes that were sent. The socket's own count lacks those that went past its stream. */
  get bytesWritten(): number {
    return this.#socket.bytesWritten + this.#sentAtOnce;
  }

  /** Bytes that came and were not read. */
  get buffered(): number {
    return this.#buffered;
  }

  /** Bytes that are kept until the other side takes them. */
  get unsent(): number {
    return this.#socket.writableLength;
  }

  /** Resolves when the connection has ended in both directions, whichever way. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Whether the other side will send no more, and everything has been read. */
  get isAtEnd(): boolean {
    return (this.#hasEnded || this.#failure !== undefined) && this.#buffered === 0;
  }

  /** Exactly `length` bytes, the caller's own. Throws WIRE_ENDED's error (a WireEnded) when the other side ends before. */
  async read(length: number): Promise<Buffer> {
    while (this.#buffered < length) await this.#more();
    return this.#take(length);
  }

  /** What is there, at least one byte and at most `limit`; none at the end. */
  async readSome(limit: number): Promise<Buffer> {
    while (this.#buffered === 0) {
      if (this.#hasEnded && this.#failure === undefined) return Buffer.alloc(0);
      await this.#more();
    }
    return this.#take(Math.min(limit, this.#buffered));
  }

  /** Puts bytes back in front of what is unread. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#chunks.unshift(bytes);
    this.#buffered += bytes.length;
  }

  /** Sends bytes, which must not change afterwards. For handshakes: it does not wait, what is unsent is kept. */
  write(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /**
   * Sends the first `length` bytes: at once what the kernel takes, without a copy; the rest is kept, copied unless it `isOwned`.
   * False: send no more until `onRoom` is called, which happens once, or never where the connection breaks.
   */
  send(bytes: Buffer, length: number, isOwned: boolean, onRoom: () => void): boolean {
    const socket = this.#socket;
    if (!socket.writable) return false;
    let sent = 0;
    if (this.#reader !== undefined && socket.writableLength === 0) {
      try {
        sent = writeAtOnce(socket, bytes, length);
      } catch (cause) {
        socket.destroy(cause instanceof Error ? cause : new Error(String(cause)));
        return false;
      }
      this.#sentAtOnce += sent;
      if (sent === length) return true;
    }
    const rest = bytes.subarray(sent, length);
    if (this.#reader !== undefined) {
      socket.write(isOwned ? rest : Buffer.from(rest), onRoom); // once it is gone, the next can go at once again
      return false;
    }
    if (socket.write(isOwned ? rest : Buffer.from(rest))) return true;
    socket.once("drain", onRoom);
    return false;
  }

  /** Sends no more; what was written goes out before. */
  end(): void {
    this.#socket.end();
  }

  /** Ends both directions at once. Safe to repeat. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Ends both directions at once so that the other side sees a broken connection and not an end, where the transport can say so. Safe to repeat. */
  reset(): void {
    if (this.#reader !== undefined && !this.#socket.destroyed && this.#socket.remotePort !== undefined) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  /** From now on everything goes to the sink, first what was read ahead. Nobody may pull any more. */
  pour(sink: Sink): void {
    this.#sink = sink;
    const unread = this.#take(this.#buffered);
    if (this.#reader !== undefined) this.#reader.receive = (buffer, count) => sink.pass(buffer, count, false);
    const goesOn = unread.length === 0 || sink.pass(unread, unread.length, true);
    if (this.#failure !== undefined || this.#socket.destroyed) sink.close(this.#failure);
    else if (this.#hasEnded) sink.end();
    else if (goesOn) this.#socket.resume();
    else this.#socket.pause();
  }

  /** Reads on, after the sink had enough. */
  resume(): void {
    if (!this.#socket.destroyed) this.#socket.resume();
  }

  /** Gives the socket away, paused, with what is unread put back into it. The wire must not be used any more. */
  release(): Socket {
    const unread = this.#take(this.#buffered);
    const socket = this.#detach();
    if (unread.length > 0) socket.unshift(unread);
    return socket;
  }

  /** Speaks TLS from here on, as the client. Throws UPSTREAM_UNTRUSTED where bytes came before it: they may be somebody else's. */
  async startTls(options: ConnectionOptions): Promise<TLSSocket> {
    if (this.#buffered > 0) throw new AmbassadorError("UPSTREAM_UNTRUSTED", "The upstream sent plain text before TLS began");
    if (this.isAtEnd) throw new WireEnded({ cause: this.#failure });
    const plain = this.#detach();
    const secure = connectTls({ ...options, socket: plain });
    await this.#handshake(secure, "secureConnect", plain);
    return secure;
  }

  /**
   * Speaks TLS from here on, as the server; what is unread already belongs to it. Where a certificate is asked for it must hold, or this
   * throws CLIENT_PROTOCOL.
   */
  async acceptTls(
    secureContext: SecureContext,
    options: { readonly requestCert: boolean; readonly ALPNProtocols?: string[] },
  ): Promise<TLSSocket> {
    if (this.isAtEnd) throw new WireEnded({ cause: this.#failure });
    const plain = this.release();
    const secure = new TLSSocket(plain, { isServer: true, secureContext, rejectUnauthorized: options.requestCert, ...options });
    await this.#handshake(secure, "secure", plain);
    const refusal = options.requestCert ? verdictOn(secure) : undefined;
    if (refusal === undefined) return secure;
    secure.destroy();
    throw new AmbassadorError("CLIENT_PROTOCOL", `The client's certificate does not hold: ${refusal.message}`, { cause: refusal });
  }

  async #handshake(secure: TLSSocket, event: "secureConnect" | "secure", plain: Socket): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const ended = (): void => reject(new WireEnded());
    plain.on("error", () => {}); // told by the one on top
    secure.once(event, resolve).once("error", reject).once("close", ended);
    plain.once("close", ended);
    try {
      await promise;
    } finally {
      plain.off("close", ended);
      secure.off("close", ended).off("error", reject).off(event, resolve);
      this.#socket = secure;
      this.#reader = undefined;
      this.#sentAtOnce = 0;
      this.#attach(secure);
      if (secure.destroyed) this.#onClose();
    }
  }

  #attach(socket: Socket): void {
    if (this.#reader === undefined) socket.on("data", this.#onData);
    socket.on("end", this.#onEnd).on("error", this.#onError).on("close", this.#onClose);
    if (!socket.connecting) socket.resume();
  }

  #detach(): Socket {
    const socket = this.#socket;
    socket.pause();
    socket.off("data", this.#onData).off("end", this.#onEnd).off("error", this.#onError).off("close", this.#onClose);
    return socket;
  }

  readonly #onData = (chunk: Buffer): void => {
    const goesOn = this.#sink === undefined ? this.#keep(chunk) : this.#sink.pass(chunk, chunk.length, true);
    if (!goesOn) this.#socket.pause();
  };

  #keep(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    this.#wake?.();
    return this.#buffered < READ_AHEAD_BYTES;
  }

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    this.#wake?.();
    this.#sink?.end();
  };

  readonly #onError = (error: Error): void => {
    this.#failure ??= error;
    this.#wake?.();
    this.#sink?.close(error);
  };

  readonly #onClose = (): void => {
    this.#hasEnded = true;
    this.#wake?.();
    this.#closed.resolve();
    this.#sink?.close(this.#failure);
  };

  async #more(): Promise<void> {
    if (this.#failure !== undefined) throw new WireEnded({ cause: this.#failure });
    if (this.#hasEnded) throw new WireEnded();
    this.#socket.resume();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
  }

  #take(length: number): Buffer {
    const [first] = this.#chunks;
    if (first === undefined) return Buffer.alloc(0);
    const all = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
    this.#chunks = all.length > length ? [all.subarray(length)] : [];
    this.#buffered -= length;
    return all.subarray(0, length);
  }
}

/**
 * What OpenSSL found wrong with the peer's certificate. A server's socket takes any that is there, and leaves it to tls.Server, which is
 * not in use here, to ask; the way to ask is not in the documentation.
 */
function verdictOn(secure: TLSSocket): Error | undefined {
  const { ssl } = secure as TLSSocket & { readonly ssl: { verifyError(): Error | null } | null };
  return ssl === null ? new WireEnded() : (ssl.verifyError() ?? undefined);
}

/** The other side ended, or the connection broke, before what was asked for came. */
export class WireEnded extends Error {
  override readonly name = "WireEnded";
  constructor(options?: ErrorOptions) {
    super("The connection ended", options);
  }
}

/** Connects to an address. Throws UPSTREAM_UNREACHABLE, or the signal's reason. */
export async function dial(address: Address, options: { readonly keepAliveMs: number | undefined }, signal: AbortSignal): Promise<Wire> {
  signal.throwIfAborted();
  const reader = new FastReader();
  const socket = reader.open();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  socket.once("connect", resolve).once("error", reject);
  if (address.kind === "unix") socket.connect({ path: address.path });
  else socket.connect({ host: address.host, port: address.port });
  try {
    await promise;
  } catch (cause) {
    socket.on("error", () => {}).destroy(); // told already
    if (signal.aborted) throw signal.reason;
    throw new AmbassadorError("UPSTREAM_UNREACHABLE", `Cannot connect to ${formatAddress(address)}`, { cause });
  } finally {
    signal.removeEventListener("abort", abort);
    socket.off("error", reject);
  }
  if (address.kind === "tcp") {
    socket.setNoDelay(true);
    if (options.keepAliveMs !== undefined) socket.setKeepAlive(true, options.keepAliveMs);
  }
  return new Wire(socket, reader);
}

/** `127.0.0.1:5432`, `[::1]:5432`, `unix:/run/db.sock`. */
export function formatAddress(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
