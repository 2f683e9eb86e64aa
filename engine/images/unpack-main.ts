/**
 * Unpacks one tar archive into a folder, confined to it by the kernel.
 * usage: node unpack-main.ts FOLDER LIMITS < ARCHIVE    (LIMITS: JSON; the archive plain, gzip or zstd, a regular file)
 * Standard output: one line of JSON, an UnpackResult. It changes its root before it writes anything.
 */
import { createHash } from "node:crypto";
import { createReadStream, readSync } from "node:fs";
import type { Readable } from "node:stream";
import { isErrno } from "@peapod/kit";
import { changeRoot } from "../linux/libc.ts";
import { decompress } from "./decompress.ts";
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
  const magic = Buffer.alloc(4);
  readSync(0, magic, 0, magic.length, 0);
  const { plain, done } = decompress(hashed(source, blob), magic);
  try {
    const [read, decompressed] = await Promise.allSettled([readTar(hashed(plain, tar), writer), done]);
    // Who stops reading ends the other: that echo says nothing.
    if (read.status === "rejected" && !isErrno(read.reason, "ERR_STREAM_PREMATURE_CLOSE")) throw read.reason;
    if (decompressed.status === "rejected") throw decompressed.reason;
    writer.finish();
  } catch (cause) {
    return failure(cause);
  }
  return { kind: "done", blobDigest: `sha256:${blob.digest("hex")}`, diffId: `sha256:${tar.digest("hex")}`, sizeBytes: writer.sizeBytes };
}

async function* hashed(source: Readable, hash: ReturnType<typeof createHash>): AsyncGenerator<Buffer> {
  for await (const chunk of source as AsyncIterable<Buffer>) {
    // a byte stream without an encoding
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
