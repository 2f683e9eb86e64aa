import { type Capabilities, capability, has } from "./capabilities.ts";
import { integer, MalformedPacket, PayloadReader, withLength, withNul } from "./payload.ts";

const SSL_REQUEST_BYTES = 32;

/**
 * A client's answer to the greeting, HandshakeResponse41.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
 */
export interface HandshakeResponse {
  readonly capabilities: Capabilities;
  readonly maxPacketBytes: number;
  readonly charset: number;
  readonly user: Buffer;
  readonly auth: Buffer;
  readonly database: Buffer | undefined;
  /** The way that `auth` was made. */
  readonly plugin: string;
  /** Names and values as they were sent; undefined for a client that has none. */
  readonly attributes: Buffer | undefined;
}

/** Whether a client asks for TLS before it says anything about itself. */
export function isSslRequest(payload: Buffer): boolean {
  return payload.length === SSL_REQUEST_BYTES && (payload.readUInt32LE(0) & capability.SSL) !== 0;
}

/** Throws MalformedPacket; clients before MySQL 4.1 are that too. */
export function parseHandshakeResponse(payload: Buffer): HandshakeResponse {
  const reader = new PayloadReader(payload);
  const base = reader.uint32();
  if ((base & capability.PROTOCOL_41) === 0) throw new MalformedPacket("A client that does not speak the protocol of MySQL 4.1");
  const maxPacketBytes = reader.uint32();
  const charset = reader.uint8();
  reader.bytes(19);
  const extended = reader.uint32();
  const capabilities = { base, mariadb: (base & capability.MYSQL) === 0 ? extended : 0 };
  const user = reader.untilNul();
  const auth = authOf(reader, capabilities);
  // What follows is left out by clients that set the bit and have nothing to say.
  const database = has(capabilities, capability.CONNECT_WITH_DB) && reader.remaining > 0 ? reader.untilNul() : undefined;
  const named = has(capabilities, capability.PLUGIN_AUTH) && reader.remaining > 0 ? reader.untilNul().toString("latin1") : "";
  const attributes = has(capabilities, capability.CONNECT_ATTRS) && reader.remaining > 0 ? reader.counted() : undefined;
  const plugin = named === "" ? "mysql_native_password" : named;
  return { capabilities, maxPacketBytes, charset, user, auth, database: database?.length === 0 ? undefined : database, plugin, attributes };
}

function authOf(reader: PayloadReader, capabilities: Capabilities): Buffer {
  if (has(capabilities, capability.PLUGIN_AUTH_LENENC)) return reader.counted();
  if (has(capabilities, capability.SECURE_CONNECTION)) return reader.bytes(reader.uint8());
  return reader.untilNul();
}

/** The bits in `capabilities` say which parts there are; `auth` has fewer than 251 bytes. */
export function encodeHandshakeResponse(response: HandshakeResponse): Buffer {
  const { capabilities } = response;
  return Buffer.concat([
    encodeSslRequest(response),
    withNul(response.user),
    withLength(response.auth), // below 251 bytes the same with and without PLUGIN_AUTH_LENENC
    ...(has(capabilities, capability.CONNECT_WITH_DB) ? [withNul(response.database ?? Buffer.alloc(0))] : []),
    ...(has(capabilities, capability.PLUGIN_AUTH) ? [withNul(Buffer.from(response.plugin, "latin1"))] : []),
    ...(has(capabilities, capability.CONNECT_ATTRS) ? [withLength(response.attributes ?? Buffer.alloc(0))] : []),
  ]);
}

/** The first 32 bytes of the response: all that may be said before TLS begins. */
export function encodeSslRequest(response: Pick<HandshakeResponse, "capabilities" | "maxPacketBytes" | "charset">): Buffer {
  const { base, mariadb } = response.capabilities;
  return Buffer.concat([
    integer(base, 4),
    integer(response.maxPacketBytes, 4),
    integer(response.charset, 1),
    Buffer.alloc(19),
    integer(mariadb, 4),
  ]);
}
