import { MalformedPacket, PayloadReader } from "./payload.ts";

/** The longest OK that is understood; those that track more of the session are rare, and then the connection just goes on. */
const TAIL_BYTES = 256;
const [OK, EOF] = [0x00, 0xfe];
const EOF_BYTES = 5;
const [IN_TRANSACTION, AUTOCOMMIT, MORE_RESULTS] = [0x0001, 0x0002, 0x0008];

/**
 * Sees whether a server stands between two queries and outside of a transaction: the last it sent is the end of a response, whose status
 * says so. With autocommit off a session counts as within one. Keeps the last bytes, and reads them when asked.
 */
export class IdleWatch {
  readonly #tail = Buffer.alloc(TAIL_BYTES);

  /** Takes the next piece of what the server sends, wherever it was cut. */
  see(chunk: Buffer): void {
    const size = Math.min(chunk.length, TAIL_BYTES);
    this.#tail.copyWithin(0, size);
    chunk.copy(this.#tail, TAIL_BYTES - size, chunk.length - size);
  }

  get isIdle(): boolean {
    for (let length = EOF_BYTES; length <= TAIL_BYTES - 4; length++) {
      const start = TAIL_BYTES - length;
      if (this.#tail.readUIntLE(start - 4, 3) !== length) continue;
      const status = statusOf(this.#tail.subarray(start));
      if (status !== undefined) return (status & (IN_TRANSACTION | AUTOCOMMIT | MORE_RESULTS)) === AUTOCOMMIT;
    }
    return false;
  }
}

/** The status in the packet that ends a response; undefined for another packet. */
function statusOf(payload: Buffer): number | undefined {
  if (payload[0] === EOF && payload.length === EOF_BYTES) return payload.readUInt16LE(3);
  if (payload[0] !== OK && payload[0] !== EOF) return undefined;
  try {
    const reader = new PayloadReader(payload.subarray(1));
    reader.length(); // rows
    reader.length(); // the last id
    return reader.uint16();
  } catch (cause) {
    if (cause instanceof MalformedPacket) return undefined;
    throw cause;
  }
}
