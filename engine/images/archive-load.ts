import { createHash } from "node:crypto";
import { realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { isErrno, messageOf } from "@peapod/kit";
import { EngineError, hasCode } from "../errors.ts";
import { ArchiveFiles, openRegular } from "./archive-files.ts";
import type { PullProgress } from "./images.ts";
import type { ImageRecord } from "./image-index.ts";
import type { ImageStore } from "./image-store.ts";
import type { ImageImporter, LayerArchive } from "./layer-import.ts";
import { choosePlatform, type Descriptor, fitsPlatform, machinePlatform, parseManifest } from "./oci-manifest.ts";
import { Unpacker } from "./unpack/unpack.ts";

const INDEX_DEPTH = 3;
/** Of one archive. */
const IMAGE_LIMIT = 1_000;

/** An image found in an archive: what importing it takes. */
interface FoundImage {
  /** As the archive has them: `nginx:1.27`, or a tag alone. */
  readonly names: readonly string[];
  readonly config: Buffer;
  readonly archives: readonly LayerArchive[];
}

/** An image that was brought in, and what it is called by that. */
export interface LoadedRecord {
  readonly record: ImageRecord;
  readonly names: readonly string[];
}

export interface LoadParts {
  readonly store: ImageStore;
  readonly importer: ImageImporter;
  /** The complete name for what an archive calls an image; undefined where that is no name, such as a tag alone. Throws where it may not be. */
  readonly canonical: (name: string) => string | undefined;
  /** The image's name, whatever the archive calls it. */
  readonly reference: string | undefined;
  readonly report: (progress: PullProgress) => void;
  readonly signal: AbortSignal;
}

/**
 * Brings in every image of an OCI layout (folder or tar) or a docker archive that is made for this machine. A tar may be compressed.
 * Throws IMAGE_INVALID, naming the file, where it is none of these or is damaged; nothing is brought in where one of its names is refused.
 */
export async function loadArchive(path: string, parts: LoadParts): Promise<LoadedRecord[]> {
  await using work = await parts.store.workDir();
  let folder = path;
  if (!(await isFolder(path))) {
    folder = join(work.path, "archive");
    await unpackFiles(path, folder, parts.signal);
  }
  const found = await findImages(folder, path);
  if (parts.reference !== undefined && found.length > 1)
    throw new EngineError(
      "IMAGE_INVALID",
      `Cannot load ${path}: it has ${found.length} images, and "${parts.reference}" can name only one`,
    );
  const named = found.map((image) => ({ ...image, names: namesFor(image, parts) }));
  const loaded: LoadedRecord[] = [];
  for (const image of named) loaded.push({ record: await importNamed(image, path, parts), names: image.names });
  return loaded;
}

function namesFor({ names }: FoundImage, { reference, canonical }: LoadParts): string[] {
  return reference === undefined ? names.map(canonical).filter((name) => name !== undefined) : [reference];
}

async function importNamed({ names, config, archives }: FoundImage, path: string, parts: LoadParts): Promise<ImageRecord> {
  const { importer, signal } = parts;
  const what = names[0] ?? path;
  const onLayer = (done: number, total: number): void =>
    parts.report({ reference: what, phase: "extracting", message: `${done} of ${total} layers` });
  try {
    const record = await importer.import({ config, archives, names, what, onLayer, signal });
    parts.report({ reference: what, phase: "done", message: "Done" });
    return record;
  } catch (cause) {
    parts.report({ reference: what, phase: "failed", message: messageOf(cause) });
    throw cause;
  }
}

/** By the same process as for layers: what an archive holds is written below its own root or not at all. */
async function unpackFiles(path: string, folder: string, signal: AbortSignal): Promise<void> {
  await using archive = await openRegular(await realpath(path));
  if (archive === undefined) throw new EngineError("IMAGE_INVALID", `Cannot load ${path}: it is neither a file nor a folder`);
  await using unpacker = new Unpacker([archive.fd], signal);
  try {
    await unpacker.unpack(0, { folder, what: path, purpose: "files" });
  } catch (cause) {
    if (!hasCode(cause, "IMAGE_INVALID")) throw cause;
    const message = `Cannot load ${path}: it is no OCI layout, OCI archive or docker archive: ${cause.message}`;
    throw new EngineError("IMAGE_INVALID", message, { cause });
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ENOTDIR"))
      throw new EngineError("IMAGE_NOT_FOUND", `Cannot load ${path}: there is no such file`, { cause });
    throw cause;
  }
}

/** What docker save writes is both: its index.json says more. */
async function findImages(folder: string, path: string): Promise<FoundImage[]> {
  const source = { files: new ArchiveFiles(folder, path), path };
  if (await source.files.has("index.json")) return findInLayout(source);
  if (await source.files.has("manifest.json")) return findInDockerArchive(source);
  throw new EngineError(
    "IMAGE_INVALID",
    `Cannot load ${path}: it is no OCI layout, OCI archive or docker archive: it has neither index.json nor manifest.json`,
  );
}

interface Source {
  readonly files: ArchiveFiles;
  /** What the user calls it. */
  readonly path: string;
}

async function findInLayout(source: Source): Promise<FoundImage[]> {
  const top = parseManifest(await source.files.read("index.json"), `${source.path}: index.json`);
  if (top.kind !== "index") throw new EngineError("IMAGE_INVALID", `Cannot load ${source.path}: its index.json is no list of images`);
  if (top.manifests.length > IMAGE_LIMIT)
    throw new EngineError("IMAGE_INVALID", `Cannot load ${source.path}: its index.json lists more than ${IMAGE_LIMIT} images`);
  const platform = machinePlatform();
  const found: FoundImage[] = [];
  for (const descriptor of top.manifests.filter((manifest) => fitsPlatform(manifest, platform))) {
    const image = await readImage(source, descriptor, namesOf(descriptor));
    // docker save lists an image once for each of its names.
    const same = found.findIndex(({ config }) => config.equals(image.config));
    if (same < 0) found.push(image);
    else found[same] = { ...image, names: [...(found[same]?.names ?? []), ...image.names] };
  }
  if (found.length === 0)
    throw new EngineError("IMAGE_INVALID", `Cannot load ${source.path}: it has no image for ${platform.os}/${platform.architecture}`);
  return found;
}

function namesOf({ annotations }: Descriptor): string[] {
  const name = annotations["io.containerd.image.name"] ?? annotations["org.opencontainers.image.ref.name"];
  return name === undefined ? [] : [name];
}

async function readImage(source: Source, descriptor: Descriptor, names: readonly string[], depth = 0): Promise<FoundImage> {
  const manifest = parseManifest(await readBlob(source, descriptor.digest), `${source.path}: manifest ${descriptor.digest}`);
  if (manifest.kind === "image") {
    const archives = manifest.layers.map(({ digest }) => ({ open: () => source.files.open(blobPath(digest)), blobDigest: digest }));
    return { names, config: await readBlob(source, manifest.config.digest), archives };
  }
  const platform = machinePlatform();
  const chosen = choosePlatform(manifest.manifests, platform);
  if (chosen === undefined || depth === INDEX_DEPTH) {
    throw new EngineError(
      "IMAGE_INVALID",
      `Cannot load ${source.path}: image ${names[0] ?? descriptor.digest} is not made for ${platform.os}/${platform.architecture}`,
    );
  }
  return readImage(source, chosen, names, depth + 1);
}

/** https://github.com/moby/docker-image-spec: manifest.json is a list of configurations, names and layers, by path. */
async function findInDockerArchive(source: Source): Promise<FoundImage[]> {
  const invalid = (problem: string): EngineError =>
    new EngineError("IMAGE_INVALID", `Cannot load ${source.path}: its manifest.json ${problem}`);
  let items: unknown;
  try {
    items = JSON.parse((await source.files.read("manifest.json")).toString("utf8"));
  } catch (cause) {
    throw cause instanceof SyntaxError ? invalid("is not JSON") : cause;
  }
  if (!Array.isArray(items) || items.length === 0) throw invalid("lists no image");
  if (items.length > IMAGE_LIMIT) throw invalid(`lists more than ${IMAGE_LIMIT} images`);
  const found: FoundImage[] = [];
  for (const item of items as unknown[]) {
    const { Config: config, RepoTags: tags, Layers: layers } = (item ?? {}) as Record<string, unknown>; // checked below
    if (typeof config !== "string" || !isStrings(layers) || !(tags === undefined || tags === null || isStrings(tags)))
      throw invalid("is none of a docker archive");
    const archives = layers.map((layer) => ({ open: () => source.files.open(layer), blobDigest: undefined }));
    found.push({ names: tags ?? [], config: await source.files.read(config), archives });
  }
  return found;
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

async function readBlob(source: Source, digest: string): Promise<Buffer> {
  const bytes = await source.files.read(blobPath(digest));
  const actual = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  if (actual !== digest) throw new EngineError("IMAGE_INVALID", `Cannot load ${source.path}: its blob ${digest} has the digest ${actual}`);
  return bytes;
}

function blobPath(digest: string): string {
  return `blobs/sha256/${digest.slice("sha256:".length)}`;
}
