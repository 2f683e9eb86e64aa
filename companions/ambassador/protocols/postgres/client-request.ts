import type { Wire } from "../../flow/wire.ts";
import { AmbassadorError } from "../../errors.ts";
import { parseStartup, STARTUP_LIMIT_BYTES, type StartupMessage } from "./startup-message.ts";

const SSL_REQUEST = 80877103;
const GSSENC_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
/** The first byte of a TLS handshake: a client that begins with it speaks TLS without asking (PostgreSQL 17). */
const TLS_HANDSHAKE = 0x16;
/** The name that direct TLS must agree on, so that no other protocol's bytes are taken for this one's. */
export const ALPN = "postgresql";

/** What a client connects for. */
export type ClientRequest =
  | { readonly kind: "startup"; readonly startup: StartupMessage }
  /** The process id and the secret key, as BackendKeyData had them. */
  | { readonly kind: "cancel"; readonly key: Buffer };

/** Begins TLS towards the client; `isDirect`: only with the protocol's name agreed on. Undefined: the listener has no certificate. */
export type AcceptTls = ((wire: Wire, isDirect: boolean) => Promise<void>) | undefined;

/**
 * Reads a client's packets until it says what it wants: answers its questions for TLS (yes, with a certificate) and GSS encryption (no),
 * each of which it may ask once. Throws CLIENT_PROTOCOL, or WireEnded.
 */
export async function receiveRequest(wire: Wire, acceptTls: AcceptTls): Promise<ClientRequest> {
  let mayAskTls = true;
  let mayAskGss = true;
  let head = await wire.read(4);
  if (acceptTls !== undefined && head[0] === TLS_HANDSHAKE) {
    wire.unread(head);
    await acceptTls(wire, true);
    head = await wire.read(4);
    mayAskTls = mayAskGss = false;
  }
  for (;;) {
    const packet = await readPacket(wire, head);
    const code = packet.readUInt32BE(0);
    if (code === SSL_REQUEST && mayAskTls) {
      mayAskTls = false;
      if (acceptTls === undefined) wire.write(Buffer.from("N"));
      else {
        await answerTls(wire, acceptTls);
        mayAskGss = false;
      }
    } else if (code === GSSENC_REQUEST && mayAskGss) {
      mayAskGss = false;
      wire.write(Buffer.from("N"));
    } else if (code === CANCEL_REQUEST) return { kind: "cancel", key: parseCancel(packet) };
    else return { kind: "startup", startup: parseStartup(code, packet.subarray(4)) };
    head = await wire.read(4);
  }
}

/** Bytes that came before our yes would count as the encrypted session's, and may be somebody else's (CVE-2021-23214). */
async function answerTls(wire: Wire, acceptTls: NonNullable<AcceptTls>): Promise<void> {
  if (wire.buffered > 0) throw new AmbassadorError("CLIENT_PROTOCOL", "The client sent more after its request for TLS, before the answer");
  wire.write(Buffer.from("S"));
  await acceptTls(wire, false);
}

async function readPacket(wire: Wire, head: Buffer): Promise<Buffer> {
  const length = head.readUInt32BE(0) - 4;
  if (length < 4 || length > STARTUP_LIMIT_BYTES) throw new AmbassadorError("CLIENT_PROTOCOL", "Invalid length of the startup packet");
  return await wire.read(length);
}

/** A key has four bytes up to protocol 3.0, and 4 to 256 since. */
function parseCancel(packet: Buffer): Buffer {
  const key = packet.subarray(4);
  if (key.length < 8 || key.length > 4 + 256) throw new AmbassadorError("CLIENT_PROTOCOL", "Invalid length of the cancel request");
  return key;
}

/** The packet that asks a server to cancel what the session with this key does. */
export function formatCancel(key: Buffer): Buffer {
  const packet = Buffer.alloc(8 + key.length);
  packet.writeUInt32BE(packet.length, 0);
  packet.writeUInt32BE(CANCEL_REQUEST, 4);
  key.copy(packet, 8);
  return packet;
}

/** The packet that asks a server whether it speaks TLS. */
export function formatSslRequest(): Buffer {
  const packet = Buffer.alloc(8);
  packet.writeUInt32BE(8, 0);
  packet.writeUInt32BE(SSL_REQUEST, 4);
  return packet;
}
