import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { decompress } from "./decompress.ts";

const content = Buffer.concat([Buffer.alloc(3_000_000, "abc"), randomBytes(1000)]);
const skippable = Buffer.concat([Buffer.from("502a4d1803000000", "hex"), Buffer.from("xyz")]);
const parts = [content.subarray(0, 10), content.subarray(10, 2_000_000), content.subarray(2_000_000)];

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function plainOf(bytes: Buffer, size: number): Promise<Buffer> {
  const { plain, done } = decompress(inPieces(bytes, size), bytes);
  const [result] = await Promise.all([buffer(plain), done]);
  return result;
}

const forms: { name: string; bytes: Buffer }[] = [
  { name: "plain bytes", bytes: content },
  { name: "gzip", bytes: gzipSync(content) },
  { name: "gzip in several members", bytes: Buffer.concat(parts.map((part) => gzipSync(part))) },
  { name: "zstd", bytes: zstdCompressSync(content) },
  { name: "zstd in several frames", bytes: Buffer.concat(parts.map((part) => zstdCompressSync(part))) },
  { name: "zstd with frames to skip", bytes: Buffer.concat([skippable, ...parts.flatMap((part) => [zstdCompressSync(part), skippable])]) },
];
for (const { name, bytes } of forms) {
  test(`decompress() reads ${name}, however it is cut`, async () => {
    for (const size of [7, 1000, 65_536, bytes.length]) {
      if (bytes.length / size < 20_000) assert.ok((await plainOf(bytes, size)).equals(content), `in pieces of ${size}`);
    }
  });
}

test("decompress() fails where the bytes are cut off or broken", async () => {
  for (const compressed of [gzipSync(content), zstdCompressSync(content)]) {
    await assert.rejects(plainOf(compressed.subarray(0, -5), 1000));
    const broken = Buffer.from(compressed);
    broken.fill(0xff, 100, 120);
    await assert.rejects(plainOf(broken, 1000));
  }
});
