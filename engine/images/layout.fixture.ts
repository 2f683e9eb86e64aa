/** Test support: images made by hand, as OCI layouts and docker archives. */
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { type Header, pack } from "tar-stream";

/** An entry of a made layer; `content` only for files. */
export type FixtureEntry = Partial<Header> & { name: string; content?: string | Uint8Array };

/** What an image is made of: the layers as tar archives, lowest first. */
export interface FixtureImage {
  /** Goes into `org.opencontainers.image.ref.name`; undefined: it has no name. */
  readonly name?: string;
  readonly layers: readonly Buffer[];
  readonly config?: Record<string, unknown>;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** A tar archive. */
export async function makeTar(entries: readonly FixtureEntry[]): Promise<Buffer> {
  const archive = pack();
  for (const { content, ...header } of entries) archive.entry({ mtime: new Date(1_700_000_000_000), ...header }, content ?? "");
  archive.finalize();
  return buffer(archive);
}

/** Of a header, what tar-stream cannot write: names that are not UTF-8, kinds and sizes that lie. Text is latin1. */
export interface RawEntry {
  readonly name: string;
  readonly type?: string;
  readonly linkName?: string;
  readonly mode?: number;
  readonly sizeBytes?: number;
  readonly content?: Uint8Array;
}

/** A tar archive of such headers, without an end: put one after another, and `makeTar` last. */
export function rawTar(entries: readonly RawEntry[]): Buffer {
  return Buffer.concat(
    entries.map(({ name, type = "0", linkName = "", mode = 0o644, content = Buffer.alloc(0), sizeBytes = content.length }) => {
      const block = Buffer.alloc(512);
      block.write(name, 0, "latin1");
      block.write(`${mode.toString(8).padStart(7, "0")}\0${"0".repeat(7)}\0${"0".repeat(7)}\0`, 100, "latin1");
      block.write(`${sizeBytes.toString(8).padStart(11, "0")} ${"0".repeat(11)} `, 124, "latin1");
      block.write(`        ${type}${linkName}`, 148, "latin1");
      block.write("ustar\u000000", 257, "latin1");
      const sum = block.reduce((total, byte) => total + byte, 0);
      block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
      return Buffer.concat([block, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
    }),
  );
}

/** sha256, as images write it. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** An image configuration for these layers. */
export function configFor(image: FixtureImage): Buffer {
  const { os, architecture } = image.platform ?? { os: "linux", architecture: process.arch === "x64" ? "amd64" : process.arch };
  return Buffer.from(
    JSON.stringify({ os, architecture, config: image.config ?? {}, rootfs: { type: "layers", diff_ids: image.layers.map(digestOf) } }),
  );
}

/** Writes an OCI layout with gzipped layers. Gives the manifests' digests, in order. */
export async function writeLayout(folder: string, images: readonly FixtureImage[]): Promise<string[]> {
  const blobs = join(folder, "blobs/sha256");
  await mkdir(blobs, { recursive: true });
  const put = async (mediaType: string, bytes: Buffer): Promise<{ mediaType: string; digest: string; size: number }> => {
    await writeFile(join(blobs, digestOf(bytes).slice(7)), bytes);
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const manifests = [];
  for (const image of images) {
    const layers = [];
    for (const layer of image.layers) layers.push(await put("application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(layer, { level: 1 })));
    const config = await put("application/vnd.oci.image.config.v1+json", configFor(image));
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const manifest = await put(mediaType, Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers })));
    const annotations = image.name === undefined ? {} : { annotations: { "org.opencontainers.image.ref.name": image.name } };
    manifests.push({ ...manifest, ...annotations, ...(image.platform === undefined ? {} : { platform: image.platform }) });
  }
  await writeFile(join(folder, "oci-layout"), `{"imageLayoutVersion":"1.0.0"}`);
  await writeFile(join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
  return manifests.map(({ digest }) => digest);
}
