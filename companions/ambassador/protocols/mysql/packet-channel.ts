import { AmbassadorError } from "../../errors.ts";
import { type Wire, WireEnded } from "../../flow/wire.ts";
import { MalformedPacket } from "./payload.ts";

/** No packet of a handshake is longer, or it is an attack: connection attributes, the longest part, end at 64 KiB. */
export const HANDSHAKE_LIMIT_BYTES = 70_000;

/** Which side of the ambassador a packet came from, to blame the right one. */
export type Side = "client" | "upstream";

/**
 * One side's packets until commands begin: read whole, numbered strictly. What breaks the protocol is CLIENT_PROTOCOL or UPSTREAM_PROTOCOL;
 * a side that ends early is CLIENT_GONE or UPSTREAM_PROTOCOL.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
 */
export class PacketChannel {
  readonly wire: Wire;
  readonly side: Side;
  #sequence = 0;

  constructor(wire: Wire, side: Side) {
    this.wire = wire;
    this.side = side;
  }

  /** The next packet's payload. */
  async read(): Promise<Buffer> {
    try {
      const header = await this.wire.read(4);
      const length = header.readUIntLE(0, 3);
      if (length > HANDSHAKE_LIMIT_BYTES) throw new MalformedPacket(`A packet of ${length} bytes in the handshake`);
      if (header[3] !== this.#sequence) throw new MalformedPacket(`Packet number ${header[3]} in place of ${this.#sequence}`);
      this.#sequence = (this.#sequence + 1) & 0xff;
      return await this.wire.read(length);
    } catch (cause) {
      throw blame(this.side, cause);
    }
  }

  write(payload: Buffer): void {
    this.wire.write(encodePacket(this.#sequence, payload));
    this.#sequence = (this.#sequence + 1) & 0xff;
  }

  /** A command begins: numbers start again. */
  restart(): void {
    this.#sequence = 0;
  }
}

/** A packet of fewer than 16 MiB. */
export function encodePacket(sequence: number, payload: Buffer): Buffer {
  const packet = Buffer.allocUnsafe(4 + payload.length);
  packet.writeUIntLE(payload.length, 0, 3);
  packet.writeUInt8(sequence & 0xff, 3);
  payload.copy(packet, 4);
  return packet;
}

/** Runs a parser of a side's packet; what it finds malformed becomes that side's error. */
export function parsing<T>(side: Side, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw blame(side, cause);
  }
}

function blame(side: Side, cause: unknown): unknown {
  if (cause instanceof MalformedPacket) {
    const code = side === "client" ? "CLIENT_PROTOCOL" : "UPSTREAM_PROTOCOL";
    return new AmbassadorError(code, `Cannot read the ${side}'s handshake: ${cause.message}`, { cause });
  }
  if (!(cause instanceof WireEnded)) return cause;
  if (side === "client") return new AmbassadorError("CLIENT_GONE", "The client ended in the middle of the handshake", { cause });
  return new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream ended in the middle of the handshake", { cause });
}
