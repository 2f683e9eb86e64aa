import { AmbassadorError } from "../../errors.ts";
import { type Wire, WireEnded } from "../../flow/wire.ts";

/** As libpq: of one message before ReadyForQuery, in bytes. An authentication request is far smaller than an error with its context. */
const AUTHENTICATION_LIMIT_BYTES = 2_000;
const MESSAGE_LIMIT_BYTES = 30_000;
/** Of all messages of one login: a server may send notices and settings as it likes, but not for ever. */
const LOGIN_LIMIT_BYTES = 256 * 1024;
const HEADER_BYTES = 5;

/** The types of the messages that a login sees, by their byte. */
export const messageType = {
  authentication: 0x52, // R
  parameterStatus: 0x53, // S
  backendKeyData: 0x4b, // K
  readyForQuery: 0x5a, // Z
  error: 0x45, // E
  notice: 0x4e, // N
  negotiateProtocolVersion: 0x76, // v
  dataRow: 0x44, // D
} as const;

/** One message of a server. Its parts share memory with what was read. */
export interface Message {
  readonly type: number;
  readonly body: Buffer;
  /** With type and length, as it came. */
  readonly raw: Buffer;
}

/** The first whole message of `bytes`; undefined while more must come. Throws UPSTREAM_PROTOCOL for a length that no message has. */
export function parseMessage(bytes: Buffer): Message | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const type = bytes.readUInt8(0);
  const length = bytes.readUInt32BE(1);
  const limit = type === messageType.authentication ? AUTHENTICATION_LIMIT_BYTES : MESSAGE_LIMIT_BYTES;
  if (length < 4 || length > limit)
    throw new AmbassadorError("UPSTREAM_PROTOCOL", `The upstream sent a message "${printable(type)}" of ${length} bytes during login`);
  if (bytes.length < 1 + length) return undefined;
  return { type, body: bytes.subarray(HEADER_BYTES, 1 + length), raw: bytes.subarray(0, 1 + length) };
}

/** A message's type as a text of one character. */
export function printable(type: number): string {
  return type > 0x20 && type < 0x7f ? String.fromCharCode(type) : "?";
}

/** Takes a server's messages from a wire, as many from one read as came in it. Throws UPSTREAM_PROTOCOL past the limits above. */
export class MessageReader {
  readonly #wire: Wire;
  #unread: Buffer = Buffer.alloc(0);
  #taken = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** The next message. Throws WireEnded when the wire ends before it is whole. */
  async next(): Promise<Message> {
    for (;;) {
      const message = parseMessage(this.#unread);
      if (message !== undefined) return this.#take(message);
      const rest = this.#unread;
      const more = rest.length === 0 ? await this.#wire.readSome(LOGIN_LIMIT_BYTES) : await this.#wire.read(missing(rest));
      this.#unread = rest.length === 0 ? more : Buffer.concat([rest, more]);
      if (this.#unread.length === 0) throw new WireEnded();
    }
  }

  /** Gives what was read and is no message of the login back to the wire. */
  release(): void {
    this.#wire.unread(this.#unread);
    this.#unread = Buffer.alloc(0);
  }

  #take(message: Message): Message {
    this.#unread = this.#unread.subarray(message.raw.length);
    this.#taken += message.raw.length;
    if (this.#taken > LOGIN_LIMIT_BYTES)
      throw new AmbassadorError(
        "UPSTREAM_PROTOCOL",
        `The upstream said more than ${LOGIN_LIMIT_BYTES} bytes and was not ready for queries`,
      );
    return message;
  }
}

/** How many bytes a message that began needs at least. */
function missing(begun: Buffer): number {
  return begun.length < HEADER_BYTES ? HEADER_BYTES - begun.length : 1 + begun.readUInt32BE(1) - begun.length;
}

/** A message of either side: type, length, body. */
export function formatMessage(type: string, ...parts: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head.write(type, 0, 1, "latin1");
  head.writeUInt32BE(
    parts.reduce((sum, part) => sum + part.length, 4),
    1,
  );
  return Buffer.concat([head, ...parts]);
}

/** A text as the protocol has it, ended by a zero. */
export function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

/** The texts of `bytes`, each ended by a zero; undefined where the last one is not. As bytes: before login nobody knows their encoding. */
export function splitStrings(bytes: Buffer): Buffer[] | undefined {
  const strings: Buffer[] = [];
  let start = 0;
  while (start < bytes.length) {
    const end = bytes.indexOf(0, start);
    if (end === -1) return undefined;
    strings.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return strings;
}

/** Name and value of a ParameterStatus. Throws UPSTREAM_PROTOCOL when it is not two texts. */
export function parseParameterStatus(body: Buffer): readonly [name: string, value: string] {
  const [name, value, ...rest] = splitStrings(body) ?? [];
  if (name === undefined || value === undefined || rest.length > 0)
    throw new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream sent a ParameterStatus that is not a name and a value");
  return [name.toString(), value.toString()];
}
