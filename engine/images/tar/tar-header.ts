import { TarError } from "./tar-error.ts";

export const BLOCK_BYTES = 512;

/** What one block of a tar archive says. Text is latin1: a character for each byte. */
export interface TarHeader {
  readonly type: string;
  readonly name: string;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly mtimeSeconds: number;
  readonly major: number;
  readonly minor: number;
}

/** Where the fields lie: https://www.gnu.org/software/tar/manual/html_node/Standard.html */
const checksumAt = 148;
const checksumLength = 8;

/** Reads a header of any dialect: V7, ustar, GNU, star. Undefined: a block of zeros, which ends an archive. Throws a TarError for what is none. */
export function parseHeader(block: Buffer): TarHeader | undefined {
  if (block[0] === 0 && block.every((byte) => byte === 0)) return undefined;
  if (!hasChecksum(block)) throw new TarError("It is no tar archive (a header's checksum is wrong)");
  const magic = block.toString("latin1", 257, 263);
  const isStar = block.toString("latin1", 508, 512) === "tar\0";
  const prefix = magic === "ustar\0" ? text(block, 345, isStar ? 131 : 155) : ""; // GNU has times there
  const name = text(block, 0, 100);
  return {
    type: block.toString("latin1", 156, 157),
    name: prefix === "" ? name : `${prefix}/${name}`,
    linkName: text(block, 157, 100),
    mode: readNumber(block, 100, 8),
    uid: readNumber(block, 108, 8),
    gid: readNumber(block, 116, 8),
    sizeBytes: readSize(block, 124),
    mtimeSeconds: readNumber(block, 136, 12),
    major: readNumber(block, 329, 8),
    minor: readNumber(block, 337, 8),
  };
}

/** A size, an offset: a number of twelve bytes that is not negative. */
export function readSize(block: Buffer, at: number): number {
  const size = readNumber(block, at, 12);
  if (size < 0 || !Number.isSafeInteger(size)) throw new TarError("It has a size that cannot be");
  return size;
}

/** The sum of all bytes, with the sum itself as blanks; there were tars that summed signed bytes. */
function hasChecksum(block: Buffer): boolean {
  let unsigned = 0;
  let signed = 0;
  for (let index = 0; index < BLOCK_BYTES; index += 1) {
    const counted = index >= checksumAt && index < checksumAt + checksumLength ? 0x20 : (block[index] ?? 0);
    unsigned += counted;
    signed += counted > 127 ? counted - 256 : counted;
  }
  const wanted = readNumber(block, checksumAt, checksumLength);
  return wanted === unsigned || wanted === signed;
}

function text(block: Buffer, at: number, length: number): string {
  const field = block.toString("latin1", at, at + length);
  const end = field.indexOf("\0");
  return end < 0 ? field : field.slice(0, end);
}

/** Octal digits, or GNU's binary, whose first byte is 0x80 or, for what is negative, 0xff. */
function readNumber(block: Buffer, at: number, length: number): number {
  const first = block[at] ?? 0;
  if (first === 0x80 || first === 0xff) {
    let value = first === 0xff ? -1n : 0n;
    for (const byte of block.subarray(at + 1, at + length)) value = (value << 8n) | BigInt(byte);
    return Number(value);
  }
  const digits = text(block, at, length).trim();
  if (digits === "") return 0;
  if (!/^[0-7]+$/.test(digits)) throw new TarError("It is no tar archive (a header has a field that is no number)");
  return Number.parseInt(digits, 8);
}
