import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { delay, isErrno } from "@peapod/kit";
import { EngineError } from "../../errors.ts";
import type { ImageRecord } from "../image-index.ts";
import type { ImageStore } from "../image-store.ts";
import type { PullProgress } from "../images.ts";
import { checkLayerCount } from "../layer-chain.ts";
import type { ImageImporter } from "../layer-import.ts";
import { findLogin } from "./logins.ts";
import { choosePlatform, machinePlatform, type Manifest, parseManifest } from "../oci-manifest.ts";
import { isLoopbackHost, type RegistryReference } from "../reference.ts";
import { copyToLayout, fetchConfig, fetchManifest, type SkopeoOptions } from "./skopeo.ts";

/** Of a configuration, which is read whole. */
const CONFIG_LIMIT_BYTES = 8 * 1024 * 1024;
/** How deep a list of lists of images goes. */
const INDEX_DEPTH = 3;
const WATCH_EVERY_MS = 200;
/** A download that brings nothing for so long is given up. */
const STALL_MS = 180_000;

/** Tells how far a pull is. */
export type Report = (progress: Omit<PullProgress, "reference">) => void;

/** Pulls an image from its registry: asks for its manifest first, then downloads only the layers that are not here. */
export async function pullFromRegistry(
  reference: RegistryReference,
  parts: { store: ImageStore; importer: ImageImporter; name: string; report: Report; signal: AbortSignal },
): Promise<ImageRecord> {
  const { store, importer, name, report, signal } = parts;
  await using work = await store.workDir();
  report({ phase: "resolving", message: `Asking ${reference.host}` });
  const authFile = await findLogin(reference.host, work.path, signal);
  const options: SkopeoOptions = { what: name, insecure: isLoopbackHost(reference.host), authFile, signal };
  const top = await fetchTop(reference, options);
  const names = [name, `${reference.name}@${top.digest}`];
  const known = await store.exclusive(async () => {
    const record = store.index.named(`${reference.name}@${top.digest}`);
    if (record !== undefined) await store.index.put(record, names);
    return record;
  });
  if (known !== undefined) return known;
  const { digest, manifest } = await choose(reference, top, options);
  const blobsDir = join(work.path, "layout/blobs/sha256");
  const blobPath = (blob: string): string => join(blobsDir, blob.slice("sha256:".length));
  checkLayerCount(manifest.layers.length, name);
  checkConfigSize(manifest, name);
  const present = store.layers.findByBlobs(manifest.layers.map((layer) => layer.digest));
  using _held = store.layers.hold(present);
  await mkdir(blobsDir, { recursive: true });
  const needed = new Set(manifest.layers.slice(present.length).map((layer) => layer.digest));
  for (const layer of manifest.layers.slice(0, present.length)) {
    if (!needed.has(layer.digest)) await standIn(blobPath(layer.digest), layer.sizeBytes);
  }
  await download(`${reference.name}@${digest}`, { layoutDir: join(work.path, "layout"), manifest, report, options });
  return await importer.import({
    config: await readConfig(blobPath(manifest.config.digest), { source: `${reference.name}@${digest}`, manifest, options }),
    archives: manifest.layers.map((layer) => ({ open: () => open(blobPath(layer.digest), "r"), blobDigest: layer.digest })),
    names,
    what: name,
    onLayer: (done, total) => report({ phase: "extracting", message: `${done} of ${total} layers` }),
    signal,
  });
}

interface Found {
  readonly digest: string;
  readonly manifest: Manifest;
}

async function fetchTop(reference: RegistryReference, options: SkopeoOptions): Promise<Found> {
  // skopeo refuses a tag beside a digest; the digest says it all.
  const source = reference.digest === undefined ? `${reference.name}:${reference.tag}` : `${reference.name}@${reference.digest}`;
  const bytes = await fetchManifest(source, options);
  const digest = digestOf(bytes);
  if (reference.digest !== undefined && digest !== reference.digest) {
    throw new EngineError("IMAGE_INVALID", `Image "${options.what}" has the digest ${digest} in its registry`);
  }
  return { digest, manifest: parseManifest(bytes, `The manifest of "${options.what}"`) };
}

/** Follows lists of images down to the one for this machine. */
async function choose(
  reference: RegistryReference,
  top: Found,
  options: SkopeoOptions,
): Promise<{ digest: string; manifest: Manifest & { kind: "image" } }> {
  let found = top;
  for (let depth = 0; depth < INDEX_DEPTH; depth += 1) {
    if (found.manifest.kind === "image") return { digest: found.digest, manifest: found.manifest };
    const platform = machinePlatform();
    const chosen = choosePlatform(found.manifest.manifests, platform);
    if (chosen === undefined) {
      const offered = found.manifest.manifests.map((item) => `${item.platform?.os}/${item.platform?.architecture}`).join(", ");
      throw new EngineError(
        "IMAGE_NOT_FOUND",
        `Image "${options.what}" is not made for ${platform.os}/${platform.architecture}, only for ${offered}`,
      );
    }
    found = await fetchTop({ ...reference, tag: undefined, digest: chosen.digest }, options);
  }
  throw new EngineError("IMAGE_INVALID", `The manifest of "${options.what}" is a list of lists more than ${INDEX_DEPTH} deep`);
}

function checkConfigSize({ config }: Manifest & { kind: "image" }, what: string): void {
  if (config.sizeBytes <= CONFIG_LIMIT_BYTES) return;
  throw new EngineError(
    "IMAGE_INVALID",
    `The configuration of "${what}" has ${config.sizeBytes} bytes; at most ${CONFIG_LIMIT_BYTES} are read`,
  );
}

/** Makes skopeo believe that a blob is there: its layer is here already, under its verified digest. Takes no space. */
async function standIn(path: string, sizeBytes: number): Promise<void> {
  await writeFile(path, "");
  await truncate(path, sizeBytes);
}

async function download(
  source: string,
  parts: { layoutDir: string; manifest: Manifest & { kind: "image" }; report: Report; options: SkopeoOptions },
): Promise<void> {
  const { layoutDir, manifest, report, options } = parts;
  const standing = await sizeOfBlobs(layoutDir);
  const sizes = new Map([manifest.config, ...manifest.layers].map(({ digest, sizeBytes }) => [digest, sizeBytes]));
  const totalBytes = sizes.values().reduce((sum, size) => sum + size, 0) - standing;
  const done = new AbortController();
  const stalled = new AbortController();
  const watch = async (): Promise<void> => {
    let last = -1;
    for (let quietMs = 0; !done.signal.aborted; quietMs += WATCH_EVERY_MS) {
      const currentBytes = Math.min((await sizeOfBlobs(layoutDir)) - standing, totalBytes);
      if (currentBytes !== last) quietMs = 0;
      if (quietMs > STALL_MS)
        stalled.abort(
          new EngineError(
            "IMAGE_PULL_FAILED",
            `Cannot pull "${options.what}": nothing came from its registry for ${STALL_MS / 1000} seconds`,
          ),
        );
      last = currentBytes;
      report({ phase: "downloading", message: `${sizes.size - 1} layers`, currentBytes, totalBytes });
      await delay(WATCH_EVERY_MS, done.signal).catch(() => {}); // woken by the end
    }
  };
  const watching = watch();
  watching.catch(() => {}); // thrown below
  try {
    await copyToLayout(source, layoutDir, { ...options, signal: AbortSignal.any([options.signal, stalled.signal]) });
  } finally {
    done.abort();
    await watching;
  }
}

/** What lies in the layout: whole blobs, and those that skopeo is writing. */
async function sizeOfBlobs(layoutDir: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(layoutDir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    try {
      sum += (await stat(join(entry.parentPath, entry.name))).size;
    } catch (cause) {
      if (!isErrno(cause, "ENOENT")) throw cause; // renamed since
    }
  }
  return sum;
}

/** skopeo writes a Docker configuration anew, as an OCI one: the original, which the image's id is made of, is fetched again. */
async function readConfig(
  path: string,
  parts: { source: string; manifest: Manifest & { kind: "image" }; options: SkopeoOptions },
): Promise<Buffer> {
  const { mediaType, digest } = parts.manifest.config;
  const bytes = mediaType.startsWith("application/vnd.oci.") ? await readFile(path) : await fetchConfig(parts.source, parts.options);
  if (digestOf(bytes) === digest) return bytes;
  throw new EngineError(
    "IMAGE_INVALID",
    `The configuration of "${parts.options.what}" has the digest ${digestOf(bytes)}, its manifest wants ${digest}`,
  );
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
