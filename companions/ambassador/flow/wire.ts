import type { Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, type SecureContext, TLSSocket } from "node:tls";
import { formatAddress, type Address } from "../../frame/address.ts";
import { AmbassadorError } from "../errors.ts";
import type { CancelSignal } from "./cancel.ts";
import { type NativeHandle, nativeError, overPipe, overTcp } from "./native.ts";
import { PlainTransport } from "./plain-transport.ts";
import { StreamTransport } from "./stream-transport.ts";
import type { Receiver, Sender, Transport, TransportOwner } from "./transport.ts";

/** Unread bytes that a wire keeps before it stops reading. A handshake's message is smaller, or an attack. */
const READ_AHEAD_BYTES = 64 * 1024;

const EMPTY = Buffer.alloc(0);
/** The chunks of most wires, for most of their time. */
const NONE: Buffer[] = [];
Object.freeze(NONE);

/** Where a wire's bytes go once nobody pulls them. */
export interface Sink extends Receiver {
  /** The other side sends no more. */
  end(): void;
  /** The connection is closed; with what broke it. It is the last that is heard, and heard once. */
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
  #chunks: Buffer[] = NONE;
  #buffered = 0;
  #hasEnded = false;
  #isOver = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  #sink: Sink | undefined;
  /** Who wants to know that the other side has gone: at its end already, or once the wire is closed. */
  #mourners: Set<Mourner> | undefined;
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
    return this.#beginning === undefined ? this.#transport.isClosed : this.#beginning.destroyed;
  }

  /** What can be lent to the pump: a plain connection that goes on, of which nothing is kept here. */
  get lendable(): PlainTransport | undefined {
    const transport = this.#transport;
    if (this.#beginning !== undefined || this.#buffered > 0 || !(transport instanceof PlainTransport)) return undefined;
    return transport.isLendable ? transport : undefined;
  }

  /** Resolves when the connection has ended in both directions, whichever way. */
  get closed(): Promise<void> {
    return new Promise((resolve) => void this.whenGone(resolve, { atEnd: false }));
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
      if (this.#hasEnded && this.#failure === undefined) return EMPTY;
      await this.#more();
    }
    return this.#take(Math.min(limit, this.#buffered));
  }

  /** Puts bytes back in front of what is unread. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#chunks = [bytes, ...this.#chunks];
    this.#buffered += bytes.length;
  }

  /** Sends bytes, which must not change afterwards. For handshakes: it does not wait, what is unsent is kept. */
  write(bytes: Uint8Array): void {
    this.#transport.write(bytes);
  }

  /**
   * Sends the first `length` bytes: at once what the kernel takes, without keeping them; the rest is kept, copied unless it `isOwned`.
   * False: send no more until the sender's `onRoom` is called, which happens once, or never where the connection breaks.
   */
  send(bytes: Buffer, length: number, isOwned: boolean, sender: Sender): boolean {
    return this.#transport.send(bytes, length, isOwned, sender);
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
    const [hadEnded, wasOver] = [this.#hasEnded, this.#isOver]; // what comes while it takes the unread, it hears by itself
    this.#sink = sink;
    const unread = this.#buffered === 0 ? EMPTY : this.#take(this.#buffered);
    this.#transport.receiver = sink;
    const goesOn = unread.length === 0 || sink.pass(unread, unread.length, true);
    if (wasOver) sink.close(this.#failure);
    else if (hadEnded && !this.#isOver) sink.end();
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
    this.#requireOpen();
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
    this.#requireOpen();
    const plain = this.release();
    const secure = new TLSSocket(plain, { isServer: true, secureContext, rejectUnauthorized: options.requestCert, ...options });
    await this.#handshake(secure, "secure", plain);
    const refusal = options.requestCert ? verdictOn(secure) : undefined;
    if (refusal === undefined) return secure;
    secure.destroy();
    throw new AmbassadorError("CLIENT_PROTOCOL", `The client's certificate does not hold: ${refusal.message}`, { cause: refusal });
  }

  /** A handshake needs an answer: whoever sends no more will not give one, whatever came before. */
  #requireOpen(): void {
    if (this.#hasEnded || this.isClosed) throw new WireEnded({ cause: this.#failure });
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
    const kept = isOwned ? chunk : Buffer.from(chunk);
    if (this.#chunks.length === 0) this.#chunks = [kept];
    else this.#chunks.push(kept);
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
  }

  onClose(): void {
    if (this.#isOver) return; // TLS that ends in its handshake says so twice
    this.#hasEnded = true;
    this.#isOver = true;
    this.#wake?.();
    this.#mourn(true);
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
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    this.#transport.resume();
    await promise;
    this.#wake = undefined;
  }

  #take(length: number): Buffer {
    const [first] = this.#chunks;
    if (first === undefined) return EMPTY;
    const all = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
    this.#chunks = all.length > length ? [all.subarray(length)] : NONE;
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

/** How to connect. */
export interface DialOptions {
  /** Has the kernel ask after so much silence whether the other side is still there. */
  readonly keepAliveMs: number | undefined;
  /** Called once the connection stands, before anybody else has it. */
  readonly onConnected?: (wire: Wire) => void;
}

/** Connects to an IP address or a UNIX socket. Throws UPSTREAM_UNREACHABLE, or the signal's reason. */
export function dial(address: Address, { keepAliveMs, onConnected }: DialOptions, signal: CancelSignal): Promise<Wire> {
  const { promise, resolve, reject } = Promise.withResolvers<Wire>();
  const isTcp = address.kind === "tcp";
  const unconnected = isTcp ? overTcp(address.host, address.port) : overPipe(address.path);
  const transport = new PlainTransport(unconnected.handle);
  const abort = (): void => {
    transport.destroy();
    reject(signal.reason);
  };
  const fail = (status: number): void => {
    transport.destroy();
    const where = formatAddress(address);
    reject(new AmbassadorError("UPSTREAM_UNREACHABLE", `Cannot connect to ${where}`, { cause: nativeError("connect", status, where) }));
  };
  const complete = (status: number): void => {
    if (transport.isClosed) return; // aborted
    signal.removeEventListener("abort", abort);
    if (status !== 0) return fail(status);
    if (isTcp && keepAliveMs !== undefined) transport.keepAlive(keepAliveMs);
    const wire = new Wire(transport);
    try {
      onConnected?.(wire);
      resolve(wire);
    } catch (cause) {
      wire.destroy();
      reject(cause);
    }
  };
  if (signal.aborted) abort();
  else {
    signal.addEventListener("abort", abort, { once: true });
    const status = unconnected.connect(complete);
    if (status !== 0) complete(status);
    else if (isTcp) transport.resume(); // before it stands: a change less for the kernel's list of what to watch
  }
  return promise;
}
