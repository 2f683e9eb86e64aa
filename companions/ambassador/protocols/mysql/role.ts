import { AmbassadorError } from "../../errors.ts";
import type { Role } from "../../upstream/upstream.ts";
import { ERR, parseError } from "./error-packet.ts";
import { type PacketChannel, parsing } from "./packet-channel.ts";
import { MalformedPacket } from "./payload.ts";

const COM_QUERY = 0x03;
const EOF = 0xfe;
/** Found in the row and nowhere else, so that the shape of column definitions, which capabilities change, does not matter. */
const MARK = "peapod-role:";
const QUERY = `SELECT CONCAT('${MARK}', @@global.read_only, ',', @@global.innodb_read_only) AS role`;
/** The answer is four or five packets. */
const PACKETS_LIMIT = 8;

/** Asks a server that has just logged us in whether it takes writes. Throws UPSTREAM_ROLE where it will not say, UPSTREAM_PROTOCOL. */
export async function askRole(packets: PacketChannel, endpoint: string): Promise<Role> {
  packets.restart();
  packets.write(Buffer.concat([Buffer.of(COM_QUERY), Buffer.from(QUERY)]));
  let role: Role | undefined;
  for (let count = 0; count < PACKETS_LIMIT; count++) {
    const packet = await packets.read();
    if (packet[0] === ERR) {
      const { errno } = parsing("upstream", () => parseError(packet));
      throw new AmbassadorError("UPSTREAM_ROLE", `${endpoint} does not say whether it is read-only (error ${errno})`);
    }
    if (packet[0] === EOF && role !== undefined) return role;
    role ??= roleOf(packet);
  }
  return parsing("upstream", () => {
    throw new MalformedPacket("No answer to the question for the role");
  });
}

/** Throws UPSTREAM_ROLE unless it is the one. */
export function requireRole(role: Role, wanted: Role, endpoint: string): void {
  if (role !== wanted) throw new AmbassadorError("UPSTREAM_ROLE", `${endpoint} is ${role}, not ${wanted}`);
}

/** MariaDB 12 has words for what was 0 and 1 before. */
function roleOf(packet: Buffer): Role | undefined {
  const text = packet.toString("latin1", 1);
  if (packet[0] !== text.length || !text.startsWith(MARK)) return undefined;
  const isWritable = text
    .slice(MARK.length)
    .split(",")
    .every((value) => value === "0" || value === "OFF");
  return isWritable ? "read-write" : "read-only";
}
