import { type Capabilities, capability, has } from "./capabilities.ts";
import { integer, PayloadReader, withNul } from "./payload.ts";

const COM_CHANGE_USER = 0x11;
const NOTHING = Buffer.alloc(0);

/**
 * The command that begins a session anew with another login.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
 */
export interface ChangeUser {
  readonly user: Buffer;
  readonly auth: Buffer;
  readonly database: Buffer;
  /** Undefined: as it was. */
  readonly charset: number | undefined;
  readonly plugin: string;
  /** With their length before them, as they were sent. */
  readonly attributes: Buffer;
}

/** Reads the command with its first byte. Throws MalformedPacket. */
export function parseChangeUser(payload: Buffer, capabilities: Capabilities): ChangeUser {
  const reader = new PayloadReader(payload);
  reader.bytes(1);
  const user = reader.untilNul();
  const auth = has(capabilities, capability.SECURE_CONNECTION) ? reader.bytes(reader.uint8()) : reader.untilNul();
  const database = reader.untilNul();
  const charset = reader.remaining >= 2 ? reader.uint16() : undefined;
  const isNamed = has(capabilities, capability.PLUGIN_AUTH) && reader.remaining > 0;
  const plugin = isNamed ? reader.untilNul().toString("latin1") : "mysql_native_password";
  return { user, auth, database, charset, plugin, attributes: reader.rest() };
}

/** The command for a server with these capabilities. `auth` has fewer than 256 bytes. */
export function encodeChangeUser(command: ChangeUser, capabilities: Capabilities): Buffer {
  const { user, auth, database, charset, plugin, attributes } = command;
  return Buffer.concat([
    integer(COM_CHANGE_USER, 1),
    withNul(user),
    integer(auth.length, 1),
    auth,
    withNul(database),
    integer(charset ?? 0, 2),
    has(capabilities, capability.PLUGIN_AUTH) ? withNul(Buffer.from(plugin, "latin1")) : NOTHING,
    has(capabilities, capability.CONNECT_ATTRS) ? attributes : NOTHING,
  ]);
}
