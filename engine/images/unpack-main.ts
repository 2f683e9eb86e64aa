/**
 * Unpacks one tar archive into a folder, confined to it by the kernel.
 * usage: node unpack-main.ts FOLDER LIMITS < ARCHIVE    (LIMITS: JSON; the archive plain, gzip or zstd, a regular file)
 * Standard output: one line of JSON, an UnpackResult. It changes its root before it writes anything.
 */
import { createHash } from "node:crypto";
import { createReadStream, readSync } from "node:fs";
import { PassThrough, type Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { changeRoot } from "../linux/libc.ts";
import { type LayerLimits, LayerWriter } from "./layer-writer.ts";
import { readTar, TarError } from "./tar-entries.ts";
import type { UnpackResult } from "./unpack.ts";

const CHUNK_BYTES = 1024 * 1024;

async function main(folder: string, limits: LayerLimits): Promise<UnpackResult> {
  process.umask(0);
  changeRoot(folder);
  const blob = createHash("sha256");
  const tar = createHash("sha256");
  const writer = new LayerWriter(limits);
  const source = createReadStream("", { fd: 0, start: 0, autoClose: false, highWaterMark: CHUNK_BYTES });
  const plain = decompressor();
  try {
    await Promise.all([pipeline(hashed(source, blob), plain), readTar(hashed(plain, tar), writer)]);
    writer.finish();
  } catch (cause) {
    return failure(cause);
  }
  return { kind: "done", blobDigest: `sha256:${blob.digest("hex")}`, diffId: `sha256:${tar.digest("hex")}`, sizeBytes: writer.sizeBytes };
}

function decompressor(): Transform {
  const magic = Buffer.alloc(4);
  readSync(0, magic, 0, 4, 0);
  if (magic.readUInt16BE(0) === 0x1f8b) return createGunzip({ chunkSize: CHUNK_BYTES });
  if (magic.readUInt32BE(0) === 0x28b52ffd || (magic.readUInt32LE(0) & 0xfffffff0) === 0x184d2a50) return createZstdDecompress({ chunkSize: CHUNK_BYTES });
  return new PassThrough({ highWaterMark: CHUNK_BYTES });
}

async function* hashed(source: Readable, hash: ReturnType<typeof createHash>): AsyncGenerator<Buffer> {
  for await (const chunk of source as AsyncIterable<Buffer>) { // a byte stream without an encoding
    hash.update(chunk);
    yield chunk;
  }
}

function failure(cause: unknown): UnpackResult {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof TarError) return { kind: "invalid", message, ...(cause.path === undefined ? {} : { path: cause.path }) };
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "";
  if (/^(?:Z_|ZSTD_|ERR_ZSTD|ERR_ZLIB)/.test(code)) return { kind: "invalid", message: `Its compression is broken: ${message}` };
  return { kind: "failed", message };
}

const [folder, limits] = process.argv.slice(2);
if (folder === undefined || limits === undefined) throw new Error("usage: unpack-main.ts FOLDER LIMITS");
const result = await main(folder, JSON.parse(limits) as LayerLimits); // written by unpack()
process.stdout.write(`${JSON.stringify(result)}\n`);
