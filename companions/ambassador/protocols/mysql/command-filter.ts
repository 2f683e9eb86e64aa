import { AmbassadorError } from "../../errors.ts";
import { HANDSHAKE_LIMIT_BYTES } from "./packet-channel.ts";

const HEADER_BYTES = 4;
/** A packet this long says that the next one belongs to it. */
const FULL_PACKET_BYTES = 0xffffff;
const COM_CHANGE_USER = 0x11;

/** What a piece of the client's bytes becomes: what to send on, and a whole COM_CHANGE_USER (without its header) once there is one. */
export interface Filtered {
  readonly pass: Buffer;
  readonly changeUser?: Buffer;
  /** What came behind the command. */
  readonly rest?: Buffer;
}

/**
 * Finds COM_CHANGE_USER among what a client sends after its login. Everything else passes in the same buffer, for the price of a look at
 * each packet's header; only a header that a piece ends in is kept back until its rest comes.
 *
 * A command is a packet with the number 0 that nothing before it claims. A file for LOAD DATA LOCAL is the one thing besides that a client
 * sends: it begins with another number, counts on past 255 to 0, and ends with an empty packet.
 */
export class CommandFilter {
  /** Payload of the current packet that is still to come, and passes. */
  #left = 0;
  #continues = false;
  #isInFile = false;
  /** A packet's start that cannot be judged, or a COM_CHANGE_USER that is not whole. */
  #kept: Buffer | undefined;

  /** Throws CLIENT_PROTOCOL for a COM_CHANGE_USER longer than any handshake packet. `pass` is the chunk itself, or a copy of its own. */
  filter(chunk: Buffer): Filtered {
    if (this.#kept === undefined && chunk.length <= this.#left) {
      this.#left -= chunk.length;
      return { pass: chunk };
    }
    const bytes = this.#kept === undefined ? chunk : Buffer.concat([this.#kept, chunk]);
    this.#kept = undefined;
    let at = this.#left;
    while (at < bytes.length) {
      const unread = bytes.length - at;
      if (unread < HEADER_BYTES) return this.#keep(bytes, at);
      const length = bytes.readUIntLE(at, 3);
      if (this.#isCommand(bytes[at + 3]) && length > 0) {
        if (unread === HEADER_BYTES) return this.#keep(bytes, at);
        if (bytes[at + HEADER_BYTES] === COM_CHANGE_USER) return this.#capture(bytes, at, length);
      }
      this.#enter(length, bytes[at + 3]);
      at += HEADER_BYTES + length;
    }
    this.#left = at - bytes.length;
    return { pass: bytes };
  }

  #isCommand(sequence: number | undefined): boolean {
    return sequence === 0 && !this.#continues && !this.#isInFile;
  }

  #enter(length: number, sequence: number | undefined): void {
    if (!this.#continues && (this.#isInFile || sequence !== 0)) this.#isInFile = length > 0;
    this.#continues = length === FULL_PACKET_BYTES;
  }

  #keep(bytes: Buffer, at: number): Filtered {
    this.#left = 0;
    this.#kept = Buffer.from(bytes.subarray(at));
    return { pass: Buffer.from(bytes.subarray(0, at)) };
  }

  #capture(bytes: Buffer, at: number, length: number): Filtered {
    if (length > HANDSHAKE_LIMIT_BYTES) throw new AmbassadorError("CLIENT_PROTOCOL", `A change of user of ${length} bytes`);
    const end = at + HEADER_BYTES + length;
    if (bytes.length < end) return this.#keep(bytes, at);
    this.#left = 0;
    return {
      pass: Buffer.from(bytes.subarray(0, at)),
      changeUser: Buffer.from(bytes.subarray(at + HEADER_BYTES, end)),
      rest: Buffer.from(bytes.subarray(end)),
    };
  }
}
