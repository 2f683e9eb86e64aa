import { createPublicKey, type KeyObject } from "node:crypto";
import { AmbassadorError } from "../../errors.ts";
import { signEd25519 } from "./ed25519.ts";
import { ERR, LoginError, parseError } from "./error-packet.ts";
import { MalformedPacket, PayloadReader } from "./payload.ts";
import { SALT_BYTES } from "./greeting.ts";
import { cachingSha2Scramble, encryptPassword, nativeScramble } from "./scrambles.ts";

const OK = 0x00;
const MORE_DATA = 0x01;
const SWITCH = 0xfe;

/** Packets that a server may send before it makes up its mind. The longest honest exchange, a switch and then a full one, takes four; an account may have several ways. */
const ROUNDS_LIMIT = 16;

/** Of `client_ed25519`. */
const NONCE_BYTES = 32;

/** What the bytes to the server go through: who may read them, and whether it is surely the server. `local`: a UNIX socket. */
export type Channel = "plain" | "local" | "encrypted" | "verified";

export interface AuthenticationParts {
  readonly endpoint: string;
  readonly password: Buffer;
  readonly channel: Channel;
  /** The server's RSA key as configured, in PEM. Throws CREDENTIAL_MISSING where its file cannot be read. */
  readonly serverKey: () => string | undefined;
  /** Whether whoever answers gets the password: under a key of its own over a plain channel, as it is over an encrypted one. */
  readonly mayAskForKey: boolean;
}

/** What a server's packet asks for. `wait`: it will say more by itself. */
export type Answer = { readonly kind: "send"; readonly payload: Buffer } | { readonly kind: "wait" } | { readonly kind: "accepted" };

/**
 * The client's half of a login, packet by packet; it does no I/O, so that it serves the handshake as well as a change of user.
 * The password itself leaves only to a server that is verified or local, or under the configured key, or where `mayAskForKey` waives that;
 * for `mysql_clear_password`, which does without a key, only to one that is verified. https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
 */
export class Authentication {
  readonly #parts: AuthenticationParts;
  #plugin = "";
  #salt = Buffer.alloc(0);
  /** What a server's AuthMoreData may be now: the verdict on a hash, its RSA key, or nothing. */
  #expects: "verdict" | "key" | "nothing" = "nothing";
  #rounds = 0;

  constructor(parts: AuthenticationParts) {
    this.#parts = parts;
  }

  /** The first reply, in the way that the greeting names where it is known, else in one that the server will switch from. */
  begin(plugin: string, salt: Buffer): { readonly plugin: string; readonly reply: Buffer } {
    const isKnown = plugin === "caching_sha2_password" || plugin === "mysql_native_password";
    const first = isKnown ? plugin : "mysql_native_password";
    return { plugin: first, reply: this.#start(first, salt) };
  }

  /** Throws LoginError for the server's no, LOGIN_REFUSED for a way that we do not go, UPSTREAM_PROTOCOL, MalformedPacket. */
  answer(payload: Buffer): Answer {
    if (++this.#rounds > ROUNDS_LIMIT) throw new MalformedPacket("A login without an end");
    switch (new PayloadReader(payload).uint8()) {
      case OK:
        return { kind: "accepted" };
      case ERR:
        throw new LoginError(this.#parts.endpoint, parseError(payload), this.#parts.channel === "plain");
      case SWITCH:
        return { kind: "send", payload: this.#switch(payload.subarray(1)) };
      case MORE_DATA:
        return this.#more(payload.subarray(1));
      default:
        throw new MalformedPacket(`A packet that begins with ${payload[0]}`);
    }
  }

  #switch(request: Buffer): Buffer {
    if (request.length === 0) throw this.#refuse("mysql_old_password");
    const reader = new PayloadReader(request);
    const plugin = reader.untilNul().toString("latin1");
    return this.#start(plugin, reader.rest());
  }

  #start(plugin: string, data: Buffer): Buffer {
    const { password, channel } = this.#parts;
    this.#plugin = plugin;
    this.#expects = "nothing";
    switch (plugin) {
      case "mysql_native_password":
        return nativeScramble(password, this.#takeSalt(data));
      case "caching_sha2_password":
        this.#takeSalt(data);
        this.#expects = "verdict";
        return cachingSha2Scramble(password, this.#salt);
      case "sha256_password":
        this.#takeSalt(data);
        return password.length === 0 ? Buffer.alloc(1) : this.#tellPassword();
      case "client_ed25519":
        if (data.length < NONCE_BYTES) throw new MalformedPacket(`A nonce of ${data.length} bytes`);
        return signEd25519(password, data.subarray(0, NONCE_BYTES)); // some servers end it with a NUL
      case "mysql_clear_password":
        if (channel !== "verified") throw this.#refuse(plugin, "which needs TLS with a verified certificate");
        return ended(password);
      default:
        throw this.#refuse(plugin);
    }
  }

  #takeSalt(data: Buffer): Buffer {
    if (data.length < SALT_BYTES) throw new MalformedPacket(`A salt of ${data.length} bytes`);
    return (this.#salt = Buffer.from(data.subarray(0, SALT_BYTES)));
  }

  #more(data: Buffer): Answer {
    if (this.#expects === "key") {
      this.#expects = "nothing";
      return { kind: "send", payload: this.#encrypt(data.toString("latin1")) };
    }
    if (this.#expects === "verdict" && data.length === 1) {
      this.#expects = "nothing";
      if (data[0] === 3) return { kind: "wait" };
      if (data[0] === 4) return { kind: "send", payload: this.#tellPassword() };
    }
    throw new MalformedPacket(`More data than "${printable(this.#plugin)}" has`);
  }

  /** The server has only a hash that ours cannot be compared with: the password itself, or a request for the key to hide it with. */
  #tellPassword(): Buffer {
    const { password, channel, serverKey, mayAskForKey } = this.#parts;
    if (channel === "encrypted" && !mayAskForKey)
      throw this.#refuse(this.#plugin, "which needs TLS in mode verify-full, or allowPublicKeyRetrieval");
    if (channel !== "plain") return ended(password); // a server reads nothing else there: no key hides it
    const pem = serverKey();
    if (pem !== undefined) return this.#encrypt(pem);
    if (!mayAskForKey)
      throw this.#refuse(this.#plugin, "which here needs TLS in mode verify-full, serverPublicKeyFile or allowPublicKeyRetrieval");
    this.#expects = "key";
    return Buffer.of(this.#plugin === "sha256_password" ? 1 : 2);
  }

  #encrypt(pem: string): Buffer {
    const { endpoint, password } = this.#parts;
    let key: KeyObject;
    try {
      key = createPublicKey(pem);
    } catch (cause) {
      throw new AmbassadorError("UPSTREAM_PROTOCOL", `The key of ${endpoint} is not one in PEM`, { cause });
    }
    if (key.asymmetricKeyType !== "rsa") throw new AmbassadorError("UPSTREAM_PROTOCOL", `The key of ${endpoint} is not an RSA key`);
    try {
      return encryptPassword(password, this.#salt, key);
    } catch (cause) {
      throw new AmbassadorError("LOGIN_REFUSED", `The password is too long for the key of ${endpoint}`, { cause });
    }
  }

  #refuse(plugin: string, why = "which is not supported"): AmbassadorError {
    return new AmbassadorError("LOGIN_REFUSED", `${this.#parts.endpoint} asks for a login with "${printable(plugin)}", ${why}`);
  }
}

function ended(password: Buffer): Buffer {
  return Buffer.concat([password, Buffer.alloc(1)]);
}

/** A name that a server chose, fit for a log. */
function printable(name: string): string {
  return name.slice(0, 64).replaceAll(/[^\x20-\x7e]|"/g, "?");
}
