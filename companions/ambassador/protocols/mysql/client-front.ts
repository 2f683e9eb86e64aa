import { randomBytes } from "node:crypto";
import { startTimer } from "@peapod/kit";
import { AmbassadorError } from "../../errors.ts";
import type { Wire } from "../../flow/wire.ts";
import { acceptClientTls } from "../tls/accept-client.ts";
import { adjust, capability, coversChoice, has, shared } from "./capabilities.ts";
import { clientErrorOf, encodeError, PlainClientError } from "./error-packet.ts";
import { sayFarewell } from "./farewell.ts";
import { encodeGreeting, type Greeting, SALT_BYTES } from "./greeting.ts";
import { type HandshakeResponse, isSslRequest, parseHandshakeResponse } from "./handshake-response.ts";
import { PacketChannel, parsing } from "./packet-channel.ts";
import type { LoginParts } from "./upstream-login.ts";

/** What a client whose `auth` was made in some way waits for before the server's OK. `unknown`: something that only it and its server know. */
export function acceptanceOf({ plugin, auth }: Pick<HandshakeResponse, "plugin" | "auth">): "ok" | "fast-ok" | "unknown" {
  if (plugin === "mysql_native_password" || plugin === "mysql_clear_password") return "ok";
  if (plugin !== "caching_sha2_password") return "unknown";
  return auth.length > 1 ? "fast-ok" : "ok"; // a lone NUL is an empty password
}

/** AuthMoreData of `caching_sha2_password`: the hash was the right one. */
export const FAST_OK = Buffer.of(1, 3);

/**
 * A client that has been greeted and lets its upstream wait. The upstream is let go, unblamed; once the client has made up its mind, the
 * login needs another connection, on which it will not wait.
 */
export class SlowClient extends AmbassadorError {
  constructor() {
    super("CLIENT_GONE", "The client does not answer the greeting");
  }
}

/**
 * The server's half of the handshake, for a client that may have any user and any password: who reaches the listener may come in.
 * The client sees its upstream's greeting but for the salt, so it makes the choices that it would make there.
 */
export class ClientFront {
  readonly #packets: PacketChannel;
  readonly #parts: LoginParts;
  #greeted: Greeting | undefined;
  #response: Promise<HandshakeResponse> | undefined;
  #needsFastOk = false;

  constructor(client: Wire, parts: LoginParts) {
    this.#packets = new PacketChannel(client, "client");
    this.#parts = parts;
  }

  /**
   * Greets the client as the upstream did, and gives its response. A later upstream, for the same client, must offer what it has chosen by
   * then. Throws SlowClient when it takes longer than half of what the upstream's connection may; CLIENT_PROTOCOL, CLIENT_GONE;
   * UPSTREAM_PROTOCOL for an upstream that is too different.
   */
  async greet(greeting: Greeting): Promise<HandshakeResponse> {
    this.#greeted ??= greeting;
    this.#response ??= this.#ask(greeting);
    const response = await withPatience(this.#response, this.#parts.listener.upstream.connectMs / 2);
    if (!isLike(this.#greeted, greeting, response))
      throw new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream offers another protocol than the one that the client was promised");
    return response;
  }

  /** Waits for a client that has been greeted, for as long as `handshakeMs` gives it. */
  async untilResponded(): Promise<void> {
    await this.#response;
  }

  /** Passes the upstream's OK on. */
  accept(ok: Buffer): void {
    if (this.#needsFastOk) this.#packets.write(FAST_OK);
    this.#packets.write(ok);
  }

  /** Tells the client why not, and ends the connection when it has read that, or soon. */
  async refuse(error: AmbassadorError): Promise<void> {
    const { wire } = this.#packets;
    if (error.code === "CLIENT_GONE") return wire.destroy();
    this.#packets.write(encodeError(clientErrorOf(error), this.#greeted !== undefined));
    await sayFarewell(wire);
  }

  async #ask(greeting: Greeting): Promise<HandshakeResponse> {
    const { listener } = this.#parts;
    const plugin = greeting.plugin === "caching_sha2_password" ? greeting.plugin : "mysql_native_password";
    const ssl = listener.serverTls === undefined ? 0 : capability.SSL;
    const capabilities = adjust(shared(greeting.capabilities), { set: ssl, clear: 0 });
    this.#packets.write(encodeGreeting({ ...greeting, capabilities, plugin, salt: makeSalt() }));
    const timer = startTimer(() => this.#packets.wire.destroy(), listener.handshakeMs);
    try {
      const response = await this.#readResponse();
      const acceptance = acceptanceOf(response);
      this.#needsFastOk = acceptance === "fast-ok";
      if (acceptance === "unknown") await this.#switchPlugin();
      return response;
    } finally {
      timer[Symbol.dispose]();
    }
  }

  async #readResponse(): Promise<HandshakeResponse> {
    const { listener, credentials } = this.#parts;
    let packet = await this.#packets.read();
    if (listener.serverTls !== undefined) {
      if (!isSslRequest(packet)) throw new PlainClientError();
      await acceptClientTls(this.#packets.wire, listener, credentials);
      packet = await this.#packets.read();
    }
    return parsing("client", () => parseHandshakeResponse(packet));
  }

  /** To the one way that every client knows and that ends with its next packet. */
  async #switchPlugin(): Promise<void> {
    this.#packets.write(Buffer.concat([Buffer.of(0xfe), Buffer.from("mysql_native_password\0"), makeSalt(), Buffer.alloc(1)]));
    await this.#packets.read();
  }
}

/** Random, without a NUL: older clients read it as text. */
function makeSalt(): Buffer {
  return Buffer.from(randomBytes(SALT_BYTES).map((byte) => 1 + (byte % 127)));
}

/** Whether a client that was greeted one way can go on with a server that greets another: same make, same release, nothing that it uses missing. */
function isLike(first: Greeting, next: Greeting, response: HandshakeResponse): boolean {
  if (first === next) return true;
  const isSameMake = has(first.capabilities, capability.MYSQL) === has(next.capabilities, capability.MYSQL);
  return isSameMake && release(first) === release(next) && coversChoice(next.capabilities, first.capabilities, response.capabilities);
}

/** `8.0` of `8.0.36`, `10.11` of `5.5.5-10.11.6-MariaDB` (the prefix is for replicas of old). */
function release({ version }: Greeting): string {
  return /^(?:5\.5\.5-)?(\d+\.\d+)/.exec(version.toString("latin1"))?.[1] ?? "";
}

/** Waits for as long as a client that is not in trouble takes. */
async function withPatience<T>(promise: Promise<T>, patienceMs: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = startTimer(() => reject(new SlowClient()), patienceMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer[Symbol.dispose]();
  }
}
