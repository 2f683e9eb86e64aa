import { constants, createHash, type KeyObject, privateDecrypt } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { createSecureContext } from "node:tls";
import type { Scope } from "@peapod/kit";
import { Wire, WireEnded } from "../../flow/wire.ts";
import type { CertificateFiles } from "../../../frame/credentials/certificates.fixture.ts";
import { listenOn } from "../tls/serving.fixture.ts";
import { AmbassadorError } from "../../errors.ts";
import { capability } from "./capabilities.ts";
import { parseChangeUser } from "./change-user.ts";
import { encodeError } from "./error-packet.ts";
import { encodeGreeting, type Greeting } from "./greeting.ts";
import { isSslRequest, parseHandshakeResponse } from "./handshake-response.ts";
import { PacketChannel } from "./packet-channel.ts";

const OK = Buffer.from("00000002000000", "hex");
const saltOfGreeting = Buffer.from("abcdefghijklmnopqrst");
const saltOfSwitch = Buffer.from("tsrqponmlkjihgfedcba");

/** What MySQL 8.0 greets with, without compression. */
export const greeting8: Greeting = {
  version: Buffer.from("8.0.36"),
  connectionId: 77,
  salt: saltOfGreeting,
  capabilities: { base: (0xdfffffff & ~(capability.SSL | capability.COMPRESS | capability.ZSTD)) >>> 0, mariadb: 0 },
  charset: 255,
  status: 2,
  plugin: "caching_sha2_password",
};

export interface Sha2ServerOptions {
  readonly password: string;
  /** Whether the server has the hash that the fast way compares with; else it takes the full way, and has it then. */
  readonly isCached?: boolean;
  /** The greeting names mysql_native_password, so that a switch comes first. */
  readonly hasOtherDefault?: boolean;
  readonly key?: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  readonly tls?: CertificateFiles;
}

export interface Sha2Server {
  readonly port: number;
  /** Each login, and each change of user, in order: who came, and which way. */
  readonly logins: readonly string[];
}

/**
 * A server that knows one password as MySQL does, by its hash's hash, and asks for it as `caching_sha2_password` does in MySQL's documents.
 * It answers COM_CHANGE_USER with a switch, as MySQL 8 does, and every other command with OK.
 */
export async function startSha2Server(scope: Scope, options: Sha2ServerOptions): Promise<Sha2Server> {
  const logins: string[] = [];
  const state = { isCached: options.isCached ?? false };
  const serve = async (socket: Socket): Promise<void> => {
    try {
      await new Sha2Session(new Wire(socket), options, state, logins).run();
    } catch (cause) {
      if (!(cause instanceof WireEnded || cause instanceof AmbassadorError)) throw cause;
    } finally {
      socket.end();
    }
  };
  const server = createServer({ allowHalfOpen: true }, (socket) => void serve(socket));
  return { port: await listenOn(server, scope), logins };
}

class Sha2Session {
  readonly #packets: PacketChannel;
  readonly #options: Sha2ServerOptions;
  readonly #state: { isCached: boolean };
  readonly #logins: string[];
  #isSecure = false;

  constructor(wire: Wire, options: Sha2ServerOptions, state: { isCached: boolean }, logins: string[]) {
    this.#packets = new PacketChannel(wire, "client");
    this.#options = options;
    this.#state = state;
    this.#logins = logins;
  }

  async run(): Promise<void> {
    const { tls, hasOtherDefault = false } = this.#options;
    const base = (greeting8.capabilities.base | (tls === undefined ? 0 : capability.SSL)) >>> 0;
    const plugin = hasOtherDefault ? "mysql_native_password" : greeting8.plugin;
    this.#packets.write(encodeGreeting({ ...greeting8, plugin, capabilities: { base, mariadb: 0 } }));
    let packet = await this.#packets.read();
    if (tls !== undefined && isSslRequest(packet)) {
      const context = createSecureContext({ cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) });
      await this.#packets.wire.acceptTls(context, { requestCert: false });
      this.#isSecure = true;
      packet = await this.#packets.read();
    }
    const response = parseHandshakeResponse(packet);
    const isRight =
      response.plugin === greeting8.plugin && !hasOtherDefault
        ? await this.#verify(response.user.toString(), response.auth, saltOfGreeting)
        : await this.#switch(response.user.toString());
    if (!isRight) return this.#refuse();
    this.#packets.write(OK);
    await this.#serveCommands(response.capabilities);
  }

  async #serveCommands(capabilities: Greeting["capabilities"]): Promise<void> {
    for (;;) {
      this.#packets.restart();
      const command = await this.#packets.read();
      if (command[0] === 0x01) return;
      if (command[0] === 0x11) {
        const { user } = parseChangeUser(command, capabilities);
        if (!(await this.#switch(user.toString()))) return this.#refuse();
      }
      this.#packets.write(OK);
    }
  }

  async #switch(user: string): Promise<boolean> {
    this.#packets.write(Buffer.concat([Buffer.of(0xfe), Buffer.from(`${greeting8.plugin}\0`), saltOfSwitch, Buffer.alloc(1)]));
    return await this.#verify(user, await this.#packets.read(), saltOfSwitch);
  }

  async #verify(user: string, scramble: Buffer, salt: Buffer): Promise<boolean> {
    const known = sha256(sha256(Buffer.from(this.#options.password)));
    if (this.#state.isCached) {
      const isRight = scramble.length === 32 && sha256(xor(scramble, sha256(Buffer.concat([known, salt])))).equals(known);
      if (isRight) this.#packets.write(Buffer.of(1, 3));
      this.#logins.push(`${user} fast`);
      return isRight;
    }
    this.#packets.write(Buffer.of(1, 4));
    const told = await this.#readPassword(user, salt);
    const isRight = told.equals(Buffer.from(`${this.#options.password}\0`));
    this.#state.isCached = isRight;
    return isRight;
  }

  async #readPassword(user: string, salt: Buffer): Promise<Buffer> {
    let packet = await this.#packets.read();
    if (this.#isSecure) {
      this.#logins.push(`${user} full over TLS`);
      return packet;
    }
    const { key } = this.#options;
    if (key === undefined) throw new Error("A server without TLS needs a key");
    const hasAsked = packet.equals(Buffer.of(2));
    if (hasAsked) {
      this.#packets.write(Buffer.concat([Buffer.of(1), Buffer.from(key.publicKey.export({ type: "spki", format: "pem" }))]));
      packet = await this.#packets.read();
    }
    this.#logins.push(`${user} full with ${hasAsked ? "a key asked for" : "a known key"}`);
    return xor(privateDecrypt({ key: key.privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" }, packet), salt);
  }

  #refuse(): void {
    this.#packets.write(encodeError({ errno: 1045, sqlState: "28000", text: "Access denied for user 'app'@'here'" }, true));
  }
}

function sha256(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest();
}

function xor(bytes: Buffer, mask: Buffer): Buffer {
  return Buffer.from(bytes.map((byte, index) => byte ^ (mask[index % mask.length] ?? 0)));
}
