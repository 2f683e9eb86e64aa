import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { AmbassadorError } from "../../errors.ts";

/** More than any administrator asks for (OWASP advises 600,000), and less than an attack by arithmetic. */
const ITERATIONS_LIMIT = 600_000;
const NONCE_BYTES = 18;

/** What a password becomes for one salt and number of iterations. The password cannot be had from it, but it logs in as well. */
export interface ScramKeys {
  readonly clientKey: Buffer;
  readonly serverKey: Buffer;
}

/** How the exchange is bound to the channel that it runs in (RFC 5802, 6). */
export type ChannelBinding =
  /** No TLS, or the listener says so. */
  | { readonly kind: "none" }
  /** We could, but the server did not offer it. */
  | { readonly kind: "not-offered" }
  | { readonly kind: "tls-server-end-point"; readonly data: Buffer };

/** The client of one SCRAM-SHA-256 exchange (RFC 5802, 7677), without I/O. PostgreSQL takes the user from the startup packet. */
export class ScramExchange {
  readonly #header: string;
  readonly #bound: Buffer;
  readonly #nonce: string;
  #serverSignature: Buffer | undefined;

  constructor(binding: ChannelBinding, nonce = randomBytes(NONCE_BYTES).toString("base64")) {
    this.#header = { none: "n,,", "not-offered": "y,,", "tls-server-end-point": "p=tls-server-end-point,," }[binding.kind];
    this.#bound = Buffer.concat([Buffer.from(this.#header), binding.kind === "tls-server-end-point" ? binding.data : Buffer.alloc(0)]);
    this.#nonce = nonce;
  }

  /** The first message. */
  get clientFirst(): string {
    return `${this.#header}${this.#clientFirstBare}`;
  }

  get #clientFirstBare(): string {
    return `n=,r=${this.#nonce}`;
  }

  /** The answer to the server's first message, with the keys for the salt it names. Throws UPSTREAM_PROTOCOL, UPSTREAM_UNTRUSTED. */
  async clientFinal(serverFirst: string, deriveKeys: (salt: Buffer, iterations: number) => Promise<ScramKeys>): Promise<string> {
    const { nonce, salt, iterations } = parseServerFirst(serverFirst);
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length)
      throw new AmbassadorError("UPSTREAM_UNTRUSTED", "The upstream's SCRAM nonce does not begin with ours");
    const { clientKey, serverKey } = await deriveKeys(salt, iterations);
    const withoutProof = `c=${this.#bound.toString("base64")},r=${nonce}`;
    const authMessage = `${this.#clientFirstBare},${serverFirst},${withoutProof}`;
    const clientSignature = hmac(createHash("sha256").update(clientKey).digest(), authMessage);
    this.#serverSignature = hmac(serverKey, authMessage);
    const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (clientSignature[index] ?? 0)));
    return `${withoutProof},p=${proof.toString("base64")}`;
  }

  /** Throws UPSTREAM_UNTRUSTED unless the server's final message proves that it knows the password. */
  verify(serverFinal: string): void {
    const [, encoded] = /^v=([A-Za-z0-9+/=]+)(?:,|$)/.exec(serverFinal) ?? [];
    const signature = Buffer.from(encoded ?? "", "base64");
    const expected = this.#serverSignature;
    if (expected === undefined || signature.length !== expected.length || !timingSafeEqual(signature, expected))
      throw new AmbassadorError("UPSTREAM_UNTRUSTED", "The upstream's SCRAM signature is wrong: it does not know the password");
  }
}

/** The three attributes of `r=NONCE,s=SALT,i=ITERATIONS`, in their order; extensions after them are ignored, a mandatory one is not known. */
function parseServerFirst(text: string): { nonce: string; salt: Buffer; iterations: number } {
  const [, nonce, salt, iterations] = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9][0-9]{0,9})(?:,.*)?$/s.exec(text) ?? [];
  if (nonce === undefined || salt === undefined || iterations === undefined)
    throw new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream's first SCRAM message is not one");
  if (Number(iterations) > ITERATIONS_LIMIT)
    throw new AmbassadorError("UPSTREAM_UNTRUSTED", `The upstream wants more than ${ITERATIONS_LIMIT} SCRAM iterations`);
  return { nonce, salt: Buffer.from(salt, "base64"), iterations: Number(iterations) };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
