import { type Capabilities, capability, has } from "./capabilities.ts";
import { integer, MalformedPacket, PayloadReader, withNul } from "./payload.ts";

/** Bytes of a salt, without the NUL that follows it. */
export const SALT_BYTES = 20;

/**
 * A server's first packet, HandshakeV10.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
 * https://mariadb.com/kb/en/connection/#initial-handshake-packet
 */
export interface Greeting {
  /** Such as `8.0.36`, `5.5.5-10.11.6-MariaDB`. */
  readonly version: Buffer;
  /** What `KILL` takes. */
  readonly connectionId: number;
  readonly salt: Buffer;
  readonly capabilities: Capabilities;
  readonly charset: number;
  readonly status: number;
  /** The server's default way to log in; `mysql_native_password` where it does not say. */
  readonly plugin: string;
}

/** Throws MalformedPacket; servers before MySQL 4.1 are that too. */
export function parseGreeting(payload: Buffer): Greeting {
  const reader = new PayloadReader(payload);
  const protocol = reader.uint8();
  if (protocol !== 10) throw new MalformedPacket(`Protocol version ${protocol} in place of 10`);
  const version = reader.untilNul();
  const connectionId = reader.uint32();
  const firstSalt = reader.bytes(8);
  reader.bytes(1);
  const lowBits = reader.uint16();
  const charset = reader.uint8();
  const status = reader.uint16();
  const base = (lowBits | (reader.uint16() << 16)) >>> 0;
  const saltBytes = reader.uint8();
  reader.bytes(6);
  const extended = reader.uint32();
  const capabilities = { base, mariadb: (base & capability.MYSQL) === 0 ? extended : 0 };
  if (!has(capabilities, capability.PROTOCOL_41) || !has(capabilities, capability.SECURE_CONNECTION))
    throw new MalformedPacket("A server that does not speak the protocol of MySQL 4.1");
  const secondSalt = reader.bytes(Math.min(Math.max(13, saltBytes - 8), reader.remaining));
  const salt = Buffer.concat([firstSalt, secondSalt]).subarray(0, SALT_BYTES);
  if (salt.length < SALT_BYTES) throw new MalformedPacket(`A salt of ${salt.length} bytes`);
  return { version, connectionId, salt, capabilities, charset, status, plugin: pluginOf(reader, capabilities) };
}

/** Some servers leave the NUL after the name out (MySQL bug 59453). */
function pluginOf(reader: PayloadReader, capabilities: Capabilities): string {
  if (!has(capabilities, capability.PLUGIN_AUTH) || reader.remaining === 0) return "mysql_native_password";
  const name = reader.rest();
  const end = name.indexOf(0);
  return name.toString("latin1", 0, end < 0 ? name.length : end);
}

export function encodeGreeting(greeting: Greeting): Buffer {
  const { base, mariadb } = greeting.capabilities;
  return Buffer.concat([
    integer(10, 1),
    withNul(greeting.version),
    integer(greeting.connectionId, 4),
    greeting.salt.subarray(0, 8),
    Buffer.alloc(1),
    integer(base & 0xffff, 2),
    integer(greeting.charset, 1),
    integer(greeting.status, 2),
    integer(base >>> 16, 2),
    integer(SALT_BYTES + 1, 1),
    Buffer.alloc(6),
    integer(mariadb, 4),
    withNul(greeting.salt.subarray(8)),
    withNul(Buffer.from(greeting.plugin, "latin1")),
  ]);
}
