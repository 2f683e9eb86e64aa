import { availableParallelism } from "node:os";
import { join } from "node:path";
import { EngineError } from "../errors.ts";
import { parseImageConfig } from "./image-config.ts";
import type { ImageRecord } from "./image-index.ts";
import type { ImageStore } from "./image-store.ts";
import { SharedWork } from "./shared-work.ts";
import { unpack } from "./unpack.ts";

/** A layer's archive on this machine. */
export interface LayerArchive {
  readonly path: string;
  /** What the manifest says the archive's digest is; undefined where nothing says it. */
  readonly blobDigest: string | undefined;
}

export interface ImportOptions {
  /** An OCI image configuration, as bytes. */
  readonly config: Uint8Array;
  /** Lowest first. The archive of a layer that is here already may be missing, or hold nothing. */
  readonly archives: readonly LayerArchive[];
  readonly names: readonly string[];
  /** For errors: the image as the user knows it. */
  readonly what: string;
  readonly onLayer: (done: number, total: number) => void;
  readonly signal: AbortSignal;
}

/** Takes images over from archives: unpacks the layers that are not here, each once even for several images at a time. */
export class ImageImporter {
  readonly #store: ImageStore;
  readonly #unpacking: SharedWork<void>;

  constructor(store: ImageStore, parent: AbortSignal) {
    this.#store = store;
    this.#unpacking = new SharedWork(parent);
  }

  /** Throws IMAGE_INVALID where archives and configuration do not belong together, and what unpacking throws. */
  async import(options: ImportOptions): Promise<ImageRecord> {
    const { diffIds, os } = parseImageConfig(options.config);
    const { archives, what, onLayer, signal } = options;
    if (os !== "" && os !== "linux") throw new EngineError("IMAGE_INVALID", `Image ${what} is for ${os}, not for linux`);
    if (diffIds.length !== archives.length) {
      throw new EngineError("IMAGE_INVALID", `Image ${what} has ${archives.length} layers, its configuration names ${diffIds.length}`);
    }
    using _held = this.#store.layers.hold(diffIds);
    let done = 0;
    const one = async (index: number, stop: AbortSignal): Promise<void> => {
      const [diffId, archive] = [diffIds[index], archives[index]];
      if (diffId === undefined || archive === undefined) return;
      await this.#unpacking.do(diffId, stop, (shared) => this.#unpack(diffId, archive, what, shared));
      onLayer((done += 1), diffIds.length);
    };
    onLayer(0, diffIds.length);
    await inParallel(diffIds.length, availableParallelism(), one, signal);
    return await this.#store.commit(options.config, options.names, Date.now());
  }

  async #unpack(diffId: string, archive: LayerArchive, image: string, signal: AbortSignal): Promise<void> {
    const { layers } = this.#store;
    if (layers.get(diffId) !== undefined) return;
    await using work = await this.#store.workDir();
    const what = `layer ${archive.blobDigest ?? diffId} of ${image}`;
    const result = await unpack(archive.path, { folder: join(work.path, "diff"), what, signal });
    if (archive.blobDigest !== undefined && result.blobDigest !== archive.blobDigest) {
      throw new EngineError("IMAGE_INVALID", `Cannot unpack ${what}: its content has the digest ${result.blobDigest}`);
    }
    if (result.diffId !== diffId) {
      throw new EngineError(
        "IMAGE_INVALID",
        `Cannot unpack ${what}: unpacked it has the digest ${result.diffId}, the image's configuration wants ${diffId}`,
      );
    }
    await this.#store.sync(work.path, signal);
    await layers.add({ diffId, sizeBytes: result.sizeBytes, blobDigest: result.blobDigest }, work.path);
  }
}

/** Runs `one` for 0 to `count` - 1, a few at a time. The first failure stops the others, and is thrown when they have ended. */
async function inParallel(
  count: number,
  width: number,
  one: (index: number, signal: AbortSignal) => Promise<void>,
  parent: AbortSignal,
): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([parent, stop.signal]);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      try {
        await one(next++, signal);
      } catch (cause) {
        stop.abort(cause);
        throw cause;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: Math.min(count, width) }, worker));
  parent.throwIfAborted();
  if (stop.signal.aborted) throw stop.signal.reason;
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
