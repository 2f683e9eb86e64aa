const NEWLINE = 0x0a;

/**
 * Cuts a byte stream into lines, without their newline; a last line without one comes too.
 * A line longer than `limitBytes` comes in pieces of that size. Cut first, decode after: a chunk may end inside a character.
 */
export async function* splitLines(source: AsyncIterable<Uint8Array>, limitBytes: number): AsyncGenerator<Uint8Array> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    let buffer = rest.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) : Buffer.concat([rest, chunk]);
    for (;;) {
      const end = buffer.indexOf(NEWLINE);
      if (end >= 0 && end <= limitBytes) {
        yield buffer.subarray(0, end);
        buffer = buffer.subarray(end + 1);
      } else if (buffer.length > limitBytes) {
        yield buffer.subarray(0, limitBytes);
        buffer = buffer.subarray(limitBytes);
      } else break;
    }
    rest = Buffer.from(buffer);
  }
  if (rest.length > 0) yield rest;
}
