import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../errors.ts";
import { parseImageConfig } from "./image-config.ts";
import type { ImageRecord } from "./image-index.ts";
import type { ImageStore } from "./image-store.ts";
import { KeyedLock } from "./keyed-lock.ts";
import { chainIds, checkLayerCount } from "./layer-chain.ts";
import { Unpacker } from "./unpack/unpack.ts";

/** A layer's archive on this machine. */
export interface LayerArchive {
  /** Opens it: a regular file. */
  readonly open: () => Promise<FileHandle>;
  /** What the manifest says the archive's digest is; undefined where nothing says it. */
  readonly blobDigest: string | undefined;
}

export interface ImportOptions {
  /** An OCI image configuration, as bytes. */
  readonly config: Uint8Array;
  /** Lowest first. The archive of a layer that is here already may hold nothing. */
  readonly archives: readonly LayerArchive[];
  readonly names: readonly string[];
  /** For errors: the image as the user knows it. */
  readonly what: string;
  readonly onLayer: (done: number, total: number) => void;
  readonly signal: AbortSignal;
}

/** One layer of an image, and what it lies on. */
interface ChainLink {
  readonly index: number;
  readonly id: string;
  readonly diffId: string;
  readonly archive: LayerArchive;
  /** Lowest first. */
  readonly below: readonly string[];
}

/**
 * Takes images over from archives: unpacks the layers that are not here, one on top of the other, as a layer may only imply what lies
 * below it. Each once even for several images at a time, which go at once where they have no layer in common.
 */
export class ImageImporter {
  readonly #store: ImageStore;
  readonly #parent: AbortSignal;
  readonly #unpacking = new KeyedLock();

  constructor(store: ImageStore, parent: AbortSignal) {
    this.#store = store;
    this.#parent = parent;
  }

  /** Throws IMAGE_INVALID where archives and configuration do not belong together, and what unpacking throws. */
  async import(options: ImportOptions): Promise<ImageRecord> {
    const { archives, what, onLayer } = options;
    const signal = AbortSignal.any([options.signal, this.#parent]);
    const links = this.#link(options);
    using _held = this.#store.layers.hold(links.map(({ id }) => id));
    await using opened = await openAll(archives);
    await using unpacker = new Unpacker(
      opened.files.map(({ fd }) => fd),
      signal,
    );
    onLayer(0, links.length);
    for (const link of links) {
      await this.#unpacking.hold(link.id, signal, () => this.#unpack(link, unpacker, what));
      onLayer(link.index + 1, links.length);
    }
    return await this.#store.commit(options.config, { names: options.names, nowMs: Date.now(), signal });
  }

  #link({ config, archives, what }: ImportOptions): ChainLink[] {
    const { diffIds, os } = parseImageConfig(config);
    if (os !== "" && os !== "linux") throw new EngineError("IMAGE_INVALID", `Image ${what} is for ${os}, not for linux`);
    if (diffIds.length !== archives.length) {
      throw new EngineError("IMAGE_INVALID", `Image ${what} has ${archives.length} layers, its configuration names ${diffIds.length}`);
    }
    checkLayerCount(diffIds.length, what);
    const ids = chainIds(diffIds);
    return archives.map((archive, index) => ({
      index,
      id: ids[index] ?? "",
      diffId: diffIds[index] ?? "",
      archive,
      below: ids.slice(0, index),
    }));
  }

  async #unpack({ index, id, diffId, archive, below }: ChainLink, unpacker: Unpacker, image: string): Promise<void> {
    const { layers } = this.#store;
    if (layers.get(id) !== undefined) return;
    await using work = await this.#store.workDir();
    const what = `layer ${archive.blobDigest ?? diffId} of ${image}`;
    const result = await unpacker.unpack(index, {
      folder: join(work.path, "diff"),
      what,
      purpose: "layer",
      ...(below.length === 0 ? {} : { below: layers.below(below, work.path) }),
    });
    if (archive.blobDigest !== undefined && result.blobDigest !== archive.blobDigest) {
      throw new EngineError("IMAGE_INVALID", `Cannot unpack ${what}: its content has the digest ${result.blobDigest}`);
    }
    if (result.diffId !== diffId) {
      throw new EngineError(
        "IMAGE_INVALID",
        `Cannot unpack ${what}: unpacked it has the digest ${result.diffId}, the image's configuration wants ${diffId}`,
      );
    }
    const parent = below.at(-1);
    const { sizeBytes, blobDigest } = result;
    await layers.add({ id, sizeBytes, blobDigest, ...(parent === undefined ? {} : { parent }) }, work.path);
  }
}

async function openAll(archives: readonly LayerArchive[]): Promise<AsyncDisposable & { readonly files: readonly FileHandle[] }> {
  const files: FileHandle[] = [];
  const close = async (): Promise<void> => void (await Promise.all(files.map((file) => file.close())));
  try {
    for (const archive of archives) files.push(await archive.open());
  } catch (cause) {
    await close();
    throw cause;
  }
  return { files, [Symbol.asyncDispose]: close };
}
