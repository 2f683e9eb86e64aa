import { once } from "node:events";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";

const CHUNK_BYTES = 1024 * 1024;
const ZSTD_MAGIC = 0x28b52ffd;

/** Decompresses a byte stream into the result, by its first four bytes: gzip, zstd, or as it is. Failures end the result too. */
export function decompress(source: AsyncIterable<Buffer>, magic: Buffer): { plain: Readable; done: Promise<void> } {
  if (magic.readUInt16BE(0) === 0x1f8b) {
    const plain = createGunzip({ chunkSize: CHUNK_BYTES });
    return { plain, done: pipeline(source, plain) };
  }
  const plain = new PassThrough({ highWaterMark: CHUNK_BYTES });
  return { plain, done: isZstd(magic) ? pipeline(zstdFrames(source), plain) : pipeline(source, plain) };
}

function isZstd(magic: Buffer): boolean {
  return magic.readUInt32BE(0) === ZSTD_MAGIC || (magic.readUInt32LE(0) & 0xffff_fff0) >>> 0 === 0x184d_2a50; // a skippable frame
}

/** Node's decompressor stops where a frame ends within a chunk, and an archive may have many: images made for lazy pulling do. */
async function* zstdFrames(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let decoder = createZstdDecompress({ chunkSize: CHUNK_BYTES });
  for await (const chunk of source) {
    for (let rest = chunk; rest.length > 0;) {
      const before = decoder.bytesWritten;
      const { promise: written, resolve, reject } = Promise.withResolvers<void>();
      decoder.once("error", reject); // its write is then never called back
      decoder.write(rest, () => resolve());
      yield* untilSettled(decoder, written);
      decoder.off("error", reject);
      const consumed = decoder.bytesWritten - before;
      rest = rest.subarray(consumed);
      if (rest.length > 0) decoder = createZstdDecompress({ chunkSize: CHUNK_BYTES });
    }
  }
  decoder.end();
  yield* decoder as AsyncIterable<Buffer>; // a byte stream without an encoding
}

/** What a stream brings until `settled` has: a write is done when all that it brings has been taken or waits. */
async function* untilSettled(stream: Readable, settled: Promise<void>): AsyncGenerator<Buffer> {
  let isOver = false;
  const over = settled.finally(() => (isOver = true));
  over.catch(() => {}); // thrown below
  while (!isOver) {
    for (let chunk = read(stream); chunk !== undefined; chunk = read(stream)) yield chunk;
    const stop = new AbortController();
    await Promise.race([over, once(stream, "readable", { signal: stop.signal }).catch(() => {})]);
    stop.abort();
  }
  await over;
  for (let chunk = read(stream); chunk !== undefined; chunk = read(stream)) yield chunk;
}

function read(stream: Readable): Buffer | undefined {
  return (stream.read() as Buffer | null) ?? undefined; // a byte stream without an encoding
}
