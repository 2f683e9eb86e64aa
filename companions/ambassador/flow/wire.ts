import { connect as connectNet, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, type SecureContext, TLSSocket } from "node:tls";
import type { Address } from "../config/config.ts";
import { AmbassadorError } from "../errors.ts";

/** Unread bytes that a wire keeps before it stops reading. A handshake's message is smaller, or an attack. */
const READ_AHEAD_BYTES = 64 * 1024;

/**
 * One side of a connection. During a handshake its bytes are pulled (`read`); after it, `splice` moves them.
 * Nobody may read while another read waits. Half-close is a state: after `end` the other direction goes on.
 */
export class Wire {
  #socket: Socket;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #hasEnded = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #closed = Promise.withResolvers<void>();

  /** Takes a connected socket over. */
  constructor(socket: Socket) {
    this.#socket = socket;
    this.#attach(socket);
  }

  /** The socket beneath: for its addresses, byte counts and TLS facts. */
  get socket(): Socket {
    return this.#socket;
  }

  /** Bytes that came and were not read. */
  get buffered(): number {
    return this.#buffered;
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

  /** Sends no more; what was written goes out before. */
  end(): void {
    this.#socket.end();
  }

  /** Ends both directions at once. Safe to repeat. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Speaks TLS from here on, as the client. Throws UPSTREAM_UNTRUSTED where bytes came before it: they may be somebody else's. */
  async startTls(options: ConnectionOptions): Promise<TLSSocket> {
    if (this.#buffered > 0) throw new AmbassadorError("UPSTREAM_UNTRUSTED", "The upstream sent plain text before TLS began");
    const plain = this.#detach();
    const secure = connectTls({ ...options, socket: plain });
    await this.#handshake(secure, "secureConnect", plain);
    return secure;
  }

  /** Speaks TLS from here on, as the server; what is unread already belongs to it. */
  async acceptTls(
    secureContext: SecureContext,
    options: { readonly requestCert: boolean; readonly ALPNProtocols?: string[] },
  ): Promise<TLSSocket> {
    const unread = this.#take(this.#buffered);
    const plain = this.#detach();
    if (unread.length > 0) plain.unshift(unread);
    const secure = new TLSSocket(plain, { isServer: true, secureContext, rejectUnauthorized: options.requestCert, ...options });
    await this.#handshake(secure, "secure", plain);
    return secure;
  }

  async #handshake(secure: TLSSocket, event: "secureConnect" | "secure", plain: Socket): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const ended = (): void => reject(new WireEnded());
    secure.once(event, resolve).once("error", reject).once("close", ended);
    plain.once("close", ended);
    try {
      await promise;
    } finally {
      plain.off("close", ended);
      secure.off("close", ended).off("error", reject).off(event, resolve);
      this.#socket = secure;
      this.#attach(secure);
      if (secure.destroyed) this.#closed.resolve();
    }
  }

  #attach(socket: Socket): void {
    socket.on("data", this.#onData).on("end", this.#onEnd).on("error", this.#onError).on("close", this.#onClose);
    socket.resume();
  }

  #detach(): Socket {
    const socket = this.#socket;
    socket.pause();
    socket.off("data", this.#onData).off("end", this.#onEnd).off("error", this.#onError).off("close", this.#onClose);
    socket.on("error", () => {}); // told by the one on top
    return socket;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    if (this.#buffered >= READ_AHEAD_BYTES) this.#socket.pause();
    this.#wake?.();
  };

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    this.#wake?.();
  };

  readonly #onError = (error: Error): void => {
    this.#failure ??= error;
    this.#wake?.();
  };

  readonly #onClose = (): void => {
    this.#hasEnded = true;
    this.#wake?.();
    this.#closed.resolve();
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
    const all = this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks);
    this.#chunks = all.length > length ? [all.subarray(length)] : [];
    this.#buffered -= length;
    return all.subarray(0, length);
  }
}

/** The other side ended, or the connection broke, before what was asked for came. */
export class WireEnded extends Error {
  override readonly name = "WireEnded";
  constructor(options?: ErrorOptions) {
    super("The connection ended", options);
  }
}

/** What happens to bytes on their way. Without a tap they pass untouched. */
export interface Splice {
  /** Called with each piece, which is valid only during the call; gives what is to be sent on, or the same piece. */
  readonly fromClient?: (chunk: Buffer) => Buffer;
  readonly fromUpstream?: (chunk: Buffer) => Buffer;
  /** Once aborted, the connection is ended at its next pause: the last bytes went to the client, and none came for 50 ms. */
  readonly finish?: AbortSignal;
}

/** How two wires that were spliced ended. */
export interface SpliceResult {
  /** Which side ended, or broke, first. */
  readonly endedBy: "client" | "upstream";
  /** What broke it: `ECONNRESET` and its like; undefined for an orderly end. */
  readonly errorCode: string | undefined;
}

/** Passes bytes both ways, what was read ahead first, until both sides have ended; a broken side ends the other at once. */
export async function splice(client: Wire, upstream: Wire, taps: Splice = {}): Promise<SpliceResult> {
  let endedBy: SpliceResult["endedBy"] | undefined;
  let errorCode: string | undefined;
  const pass = async (from: Wire, to: Wire, name: SpliceResult["endedBy"], tap = (chunk: Buffer): Buffer => chunk): Promise<void> => {
    try {
      for (;;) {
        const chunk = await from.readSome(READ_AHEAD_BYTES);
        if (chunk.length === 0) break;
        const sent = tap(chunk);
        if (sent.length > 0 && !to.socket.write(sent))
          await new Promise((resolve) => to.socket.once("drain", resolve).once("close", resolve));
      }
      endedBy ??= name;
      to.end();
    } catch (cause) {
      endedBy ??= name;
      const reason = cause instanceof WireEnded ? cause.cause : cause;
      errorCode ??= reason instanceof Error && "code" in reason ? String(reason.code) : "ECONNRESET";
      for (const wire of [client, upstream]) wire.destroy();
    }
  };
  await Promise.all([pass(client, upstream, "client", taps.fromClient), pass(upstream, client, "upstream", taps.fromUpstream)]);
  await Promise.all([client.closed, upstream.closed]);
  return { endedBy: endedBy ?? "client", errorCode };
}

/** Connects to an address. Throws UPSTREAM_UNREACHABLE, or the signal's reason. */
export async function dial(address: Address, options: { readonly keepAliveMs: number | undefined }, signal: AbortSignal): Promise<Wire> {
  signal.throwIfAborted();
  const { keepAliveMs } = options;
  const socket =
    address.kind === "unix"
      ? connectNet({ path: address.path, allowHalfOpen: true })
      : connectNet({
          host: address.host,
          port: address.port,
          allowHalfOpen: true,
          noDelay: true,
          ...(keepAliveMs === undefined ? {} : { keepAlive: true, keepAliveInitialDelay: keepAliveMs }),
        });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  socket.once("connect", resolve).once("error", reject);
  try {
    await promise;
  } catch (cause) {
    socket.destroy();
    if (signal.aborted) throw signal.reason;
    throw new AmbassadorError("UPSTREAM_UNREACHABLE", `Cannot connect to ${formatAddress(address)}`, { cause });
  } finally {
    signal.removeEventListener("abort", abort);
    socket.off("error", reject);
  }
  return new Wire(socket);
}

/** `127.0.0.1:5432`, `[::1]:5432`, `unix:/run/db.sock`. */
export function formatAddress(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
