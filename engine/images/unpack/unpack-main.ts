/**
 * Unpacks tar archives into folders, one after the other, each confined to its folder by the kernel.
 * usage: node unpack-main.ts
 * Standard input: lines of JSON, an UnpackOrder each; standard output: for each a line of JSON, an UnpackResult. The archives (plain,
 * gzip or zstd; regular files) are descriptors that it inherits. It mounts: give it a mount namespace of its own.
 */
import { createHash } from "node:crypto";
import { createReadStream, openSync, readSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { isErrno, messageOf } from "@peapod/kit";
import { changeRoot, changeRootBack } from "../../linux/libc.ts";
import { decompress } from "../tar/decompress.ts";
import { mountOnTop, unmountOnTop } from "../layer-mount.ts";
import { LayerWriter } from "./layer-writer.ts";
import { readTar } from "../tar/tar-entries.ts";
import { TarError } from "../tar/tar-error.ts";
import type { UnpackOrder, UnpackResult } from "./unpack.ts";

const CHUNK_BYTES = 1024 * 1024;

async function carryOut(order: UnpackOrder, realRoot: number): Promise<UnpackResult> {
  const folder = order.below === undefined ? order.folder : mountOnTop(order.folder, order.below);
  try {
    changeRoot(folder);
    try {
      return await unpackHere(order);
    } finally {
      changeRootBack(realRoot);
    }
  } finally {
    if (order.below !== undefined) unmountOnTop(order.folder);
  }
}

/** Into this process's root. */
async function unpackHere({ archive, purpose, limits, below }: UnpackOrder): Promise<UnpackResult> {
  const blob = createHash("sha256");
  const tar = createHash("sha256");
  const writer = new LayerWriter({ purpose, limits, isEmpty: below === undefined });
  const source = createReadStream("", { fd: archive, start: 0, autoClose: false, highWaterMark: CHUNK_BYTES });
  const magic = Buffer.alloc(4);
  readSync(archive, magic, 0, magic.length, 0);
  const { plain, done } = decompress(hashed(source, blob), magic);
  const [read, decompressed] = await Promise.allSettled([readTar(limited(hashed(plain, tar), limits.archiveBytes), writer), done]);
  // Who stops reading ends the other: that echo says nothing.
  if (read.status === "rejected" && !isErrno(read.reason, "ERR_STREAM_PREMATURE_CLOSE")) throw read.reason;
  if (decompressed.status === "rejected") throw decompressed.reason;
  writer.finish();
  return { kind: "done", blobDigest: `sha256:${blob.digest("hex")}`, diffId: `sha256:${tar.digest("hex")}`, sizeBytes: writer.sizeBytes };
}

async function* hashed(source: Readable, hash: ReturnType<typeof createHash>): AsyncGenerator<Buffer> {
  for await (const chunk of source as AsyncIterable<Buffer>) {
    // a byte stream without an encoding
    hash.update(chunk);
    yield chunk;
  }
}

async function* limited(source: AsyncIterable<Buffer>, limitBytes: number): AsyncGenerator<Buffer> {
  let seen = 0;
  for await (const chunk of source) {
    seen += chunk.length;
    if (seen > limitBytes) throw new TarError(`The archive has more than ${limitBytes} bytes`);
    yield chunk;
  }
}

function failure(cause: unknown): UnpackResult {
  const message = messageOf(cause);
  if (cause instanceof TarError) return { kind: "invalid", message, ...(cause.path === undefined ? {} : { path: cause.path }) };
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "";
  if (/^(?:Z_|ZSTD_|ERR_ZSTD|ERR_ZLIB)/.test(code)) return { kind: "invalid", message: `Its compression is broken: ${message}` };
  return { kind: "failed", message, code };
}

process.umask(0);
const realRoot = openSync("/", "r");
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as UnpackOrder; // written by Unpacker
  const result = await carryOut(order, realRoot).catch(failure);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
