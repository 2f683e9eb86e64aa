/** A packet is shorter than its parts, or one of them is longer than it may be. Whoever read it knows which side to blame. */
export class MalformedPacket extends Error {
  override readonly name = "MalformedPacket";
}

/** Takes a packet's payload apart, in the protocol's little-endian words. Each method throws MalformedPacket where bytes are missing. */
export class PayloadReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  uint8(): number {
    return this.bytes(1).readUInt8();
  }

  uint16(): number {
    return this.bytes(2).readUInt16LE();
  }

  uint32(): number {
    return this.bytes(4).readUInt32LE();
  }

  /** The next `length` bytes, as a view. */
  bytes(length: number): Buffer {
    if (length > this.remaining) throw new MalformedPacket(`${length} bytes wanted, ${this.remaining} left`);
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return taken;
  }

  /** Up to the next NUL, which is taken too. */
  untilNul(): Buffer {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw new MalformedPacket("A text without its end");
    const taken = this.bytes(end - this.#at);
    this.#at += 1;
    return taken;
  }

  /** A length-encoded integer; those of eight bytes are beyond every packet, hence malformed. */
  length(): number {
    const first = this.uint8();
    if (first < 0xfb) return first;
    if (first === 0xfc) return this.uint16();
    if (first === 0xfd) return this.bytes(3).readUIntLE(0, 3);
    throw new MalformedPacket(`A length that begins with ${first}`);
  }

  /** Bytes after their length. */
  counted(): Buffer {
    return this.bytes(this.length());
  }

  rest(): Buffer {
    return this.bytes(this.remaining);
  }
}

/** An integer of 1, 2 or 4 bytes, as the protocol writes it. */
export function integer(value: number, bytes: 1 | 2 | 4): Buffer {
  const encoded = Buffer.allocUnsafe(bytes);
  encoded.writeUIntLE(value >>> 0, 0, bytes);
  return encoded;
}

/** Bytes with a NUL behind them. They must not have one inside. */
export function withNul(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(1)]);
}

/** Bytes with their length before them; fewer than 16 MiB. */
export function withLength(bytes: Buffer): Buffer {
  if (bytes.length < 0xfb) return Buffer.concat([integer(bytes.length, 1), bytes]);
  if (bytes.length <= 0xffff) return Buffer.concat([integer(0xfc, 1), integer(bytes.length, 2), bytes]);
  return Buffer.concat([integer((bytes.length << 8) + 0xfd, 4), bytes]);
}
