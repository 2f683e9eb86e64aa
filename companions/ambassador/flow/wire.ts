import type { Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, type SecureContext, TLSSocket } from "node:tls";
import type { Address } from "../config/config.ts";
import { AmbassadorError } from "../errors.ts";
import { connectPipe, connectTcp, type NativeHandle, nativeError } from "./native.ts";
import { PlainTransport } from "./plain-transport.ts";
import { StreamTransport } from "./stream-transport.ts";
import type { Receiver, Transport, TransportOwner } from "./transport.ts";

/** Unread bytes that a wire keeps before it stops reading. A handshake's message is smaller, or an attack. */
const READ_AHEAD_BYTES = 64 * 1024;

/** Where a wire's bytes go once nobody pulls them. */
export interface Sink extends Receiver {
  /** The other side sends no more. */
  end(): void;
  /** The connection broke, or is closed. */
  close(error: Error | undefined): void;
}

/**
 * One side of a connection. During a handshake its bytes are pulled (`read`); after it, `splice` moves them.
 * Nobody may read while another read waits. Half-close is a state: after `end` the other direction goes on.
 */
export class Wire implements TransportOwner {
  #transport: Transport;
  /** While TLS begins: the socket that it begins on. */
  #beginning: Socket | undefined;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #hasEnded = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  #sink: Sink | undefined;
  /** Who wants to know that the other side has gone: at its end already, or once the wire is closed. */
  #mourners: Set<Mourner> | undefined;
  readonly #closed = Promise.withResolvers<void>();
  #tls: TLSSocket | undefined;

  /** Takes over a connected socket of Node's; `accepted` and `dial` have faster ones. */
  constructor(from: Socket | PlainTransport) {
    this.#transport = from instanceof PlainTransport ? from : new StreamTransport(from);
    this.#attach();
  }

  /** A wire over a connection that a server has accepted. */
  static accepted(handle: NativeHandle): Wire {
    return new Wire(new PlainTransport(handle));
  }

  /** What it speaks since `startTls` or `acceptTls`: for its facts. */
  get tls(): TLSSocket | undefined {
    return this.#tls;
  }

  /** Bytes that came; of TLS, those within. */
  get bytesRead(): number {
    return this.#transport.bytesRead;
  }

  /** Bytes that were sent, or are kept to be. */
  get bytesWritten(): number {
    return this.#transport.bytesWritten;
  }

  /** Bytes that came and were not read. */
  get buffered(): number {
    return this.#buffered;
  }

  /** Bytes that are kept until the other side takes them. */
  get unsent(): number {
    return this.#transport.unsent;
  }

  get isClosed(): boolean {
    return this.#transport.isClosed;
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
    this.#transport.write(bytes);
  }

  /**
   * Sends the first `length` bytes: at once what the kernel takes, without keeping them; the rest is kept, copied unless it `isOwned`.
   * False: send no more until `onRoom` is called, which happens once, or never where the connection breaks.
   */
  send(bytes: Buffer, length: number, isOwned: boolean, onRoom: () => void): boolean {
    return this.#transport.send(bytes, length, isOwned, onRoom);
  }

  /** Sends no more; what was written goes out before. Then calls back, unless the connection broke. */
  end(onSent?: () => void): void {
    this.#transport.end(onSent);
  }

  /** Ends both directions at once. Safe to repeat. */
  destroy(): void {
    (this.#beginning ?? this.#transport).destroy();
  }

  /** Ends both directions at once so that the other side sees a broken connection and not an end, where the transport can say so. Safe to repeat. */
  reset(): void {
    if (this.#beginning === undefined) this.#transport.reset();
    else this.#beginning.destroy();
  }

  /** Calls back once when the connection is closed, or, if `atEnd`, when the other side ends: at once where it has. Gives what takes it back. */
  whenGone(hear: () => void, options: { readonly atEnd: boolean }): () => void {
    if (this.isClosed || (options.atEnd && this.#hasEnded)) {
      hear();
      return () => {};
    }
    const mourner: Mourner = { hear, atEnd: options.atEnd };
    this.#mourners ??= new Set();
    this.#mourners.add(mourner);
    return () => void this.#mourners?.delete(mourner);
  }

  /** From now on everything goes to the sink, first what was read ahead. Nobody may pull any more. */
  pour(sink: Sink): void {
    this.#sink = sink;
    const unread = this.#take(this.#buffered);
    this.#transport.receiver = sink;
    const goesOn = unread.length === 0 || sink.pass(unread, unread.length, true);
    if (this.#failure !== undefined || this.isClosed) sink.close(this.#failure);
    else if (this.#hasEnded) sink.end();
    else if (goesOn) this.#transport.resume();
    else this.#transport.pause();
  }

  /** Reads on, after the sink had enough. */
  resume(): void {
    this.#transport.resume();
  }

  /** Gives the socket away, paused, with what is unread put back into it. The wire must not be used any more. */
  release(): Socket {
    const unread = this.#take(this.#buffered);
    const socket = this.#transport.release();
    if (unread.length > 0) socket.unshift(unread);
    return socket;
  }

  /** Speaks TLS from here on, as the client. Throws UPSTREAM_UNTRUSTED where bytes came before it: they may be somebody else's. */
  async startTls(options: ConnectionOptions): Promise<TLSSocket> {
    if (this.#buffered > 0) throw new AmbassadorError("UPSTREAM_UNTRUSTED", "The upstream sent plain text before TLS began");
    if (this.isAtEnd) throw new WireEnded({ cause: this.#failure });
    const plain = this.release();
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
    this.#beginning = plain;
    try {
      await promise;
    } finally {
      plain.off("close", ended);
      secure.off("close", ended).off("error", reject).off(event, resolve);
      this.#beginning = undefined;
      this.#tls = secure;
      this.#transport = new StreamTransport(secure);
      this.#attach();
      if (secure.destroyed) this.onClose();
    }
  }

  #attach(): void {
    this.#transport.owner = this;
    this.#transport.receiver = this;
    this.#transport.resume();
  }

  /** As its transport's receiver: keeps what nobody has pulled yet. */
  pass(buffer: Buffer, count: number, isOwned: boolean): boolean {
    const chunk = buffer.subarray(0, count);
    this.#chunks.push(isOwned ? chunk : Buffer.from(chunk));
    this.#buffered += count;
    this.#wake?.();
    return this.#buffered < READ_AHEAD_BYTES;
  }

  onEnd(): void {
    this.#hasEnded = true;
    this.#wake?.();
    this.#mourn(false);
    this.#sink?.end();
  }

  onError(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
    this.#sink?.close(error);
  }

  onClose(): void {
    this.#hasEnded = true;
    this.#wake?.();
    this.#mourn(true);
    this.#closed.resolve();
    this.#sink?.close(this.#failure);
  }

  #mourn(isClosed: boolean): void {
    for (const mourner of this.#mourners ?? [])
      if (isClosed || mourner.atEnd) {
        this.#mourners?.delete(mourner);
        mourner.hear();
      }
  }

  async #more(): Promise<void> {
    if (this.#failure !== undefined) throw new WireEnded({ cause: this.#failure });
    if (this.#hasEnded) throw new WireEnded();
    this.#transport.resume();
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

interface Mourner {
  readonly hear: () => void;
  readonly atEnd: boolean;
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

/** Connects to an IP address or a UNIX socket. Throws UPSTREAM_UNREACHABLE, or the signal's reason. */
export async function dial(address: Address, options: { readonly keepAliveMs: number | undefined }, signal: AbortSignal): Promise<Wire> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onComplete = (status: number): void => {
    if (status === 0) resolve();
    else reject(nativeError("connect", status, formatAddress(address)));
  };
  const handle = address.kind === "unix" ? connectPipe(address.path, onComplete) : connectTcp(address.host, address.port, onComplete);
  const transport = new PlainTransport(handle);
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    await promise;
  } catch (cause) {
    transport.destroy();
    if (signal.aborted) throw signal.reason;
    throw new AmbassadorError("UPSTREAM_UNREACHABLE", `Cannot connect to ${formatAddress(address)}`, { cause });
  } finally {
    signal.removeEventListener("abort", abort);
  }
  if (options.keepAliveMs !== undefined) handle.setKeepAlive?.(true, Math.max(1, Math.round(options.keepAliveMs / 1000)));
  return new Wire(transport);
}

/** `127.0.0.1:5432`, `[::1]:5432`, `unix:/run/db.sock`. */
export function formatAddress(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
