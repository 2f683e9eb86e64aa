import { createHash } from "node:crypto";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type Cleanups, run } from "@peapod/kit";
import { ImageIndex, type ImageRecord } from "./image-index.ts";
import { parseImageConfig } from "./image-config.ts";
import type { Image } from "./images.ts";
import { chainIds } from "./layer-chain.ts";
import { LayerStore } from "./layer-store.ts";
import { Workplace } from "./workplace.ts";

/**
 * Images and layers on disk, under `stateDir/images`. A layer is complete or not there; an image is there only with all its layers;
 * a name only with its image. What is being made, and what is being removed, lies in `tmp`, which is emptied when the store is opened.
 */
export class ImageStore {
  readonly layers: LayerStore;
  readonly index: ImageIndex;
  readonly workplace: Workplace;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(parts: { layers: LayerStore; index: ImageIndex; workplace: Workplace }) {
    this.layers = parts.layers;
    this.index = parts.index;
    this.workplace = parts.workplace;
  }

  static async open(imagesDir: string, cleanups: Cleanups): Promise<ImageStore> {
    const workplace = await Workplace.open(join(imagesDir, "tmp"), cleanups);
    const layers = await LayerStore.open(imagesDir, workplace);
    const isComplete = (record: ImageRecord): boolean => record.layers.every((id) => layers.get(id) !== undefined);
    const index = await ImageIndex.open(imagesDir, isComplete, workplace);
    const store = new ImageStore({ layers, index, workplace });
    // What no image's record names may be torn.
    await cleanups.attempt("remove layers without an image", async () => void (await store.removeUnusedLayers()));
    return store;
  }

  /** A folder to make something in; removed when disposed, and when the store is opened again. */
  async workDir(): Promise<AsyncDisposable & { readonly path: string }> {
    return this.workplace.makeFolder();
  }

  /**
   * Keeps an image whose layers are here, or held, under these names. Gives its record. After a power failure it is whole or not there:
   * its layers and their records are on the disk before its own is, and that before a name is.
   */
  async commit(config: Uint8Array, options: { names: readonly string[]; nowMs: number; signal: AbortSignal }): Promise<ImageRecord> {
    const id = `sha256:${createHash("sha256").update(config).digest("hex")}`;
    const parsed = parseImageConfig(config);
    const layers = chainIds(parsed.diffIds);
    const missing = layers.find((layer) => this.layers.get(layer) === undefined);
    if (missing !== undefined) throw new Error(`Image ${id} lacks its layer ${missing}`);
    await this.#sync(layers, options.signal);
    return this.exclusive(async () => {
      const known = this.index.get(id);
      const replaced = known === undefined || isDeepStrictEqual(known.layers, layers) ? [] : known.layers;
      const formerLayers = [...(known?.formerLayers ?? []), ...replaced];
      const record: ImageRecord = {
        id,
        config: parsed.config,
        layers,
        ...(formerLayers.length === 0 ? {} : { formerLayers }),
        createdAtMs: known?.createdAtMs ?? options.nowMs,
      };
      await this.index.put(record, options.names);
      return record;
    });
  }

  /** Flushes the file system, once for all layers of an image. */
  async #sync(layers: readonly string[], signal: AbortSignal): Promise<void> {
    const fresh = this.layers.newOf(layers);
    if (fresh.length === 0) return;
    await run("sync", ["--file-system", this.layers.linksDir], { signal });
    this.layers.settle(fresh);
  }

  /** Removes the layers that no image has; gives the bytes won back. */
  async removeUnusedLayers(): Promise<number> {
    const wanted = this.index.records().flatMap(({ layers, formerLayers = [] }) => [...layers, ...formerLayers]);
    return this.layers.removeUnused(new Set(wanted));
  }

  /** Runs `work` while no other exclusive work runs. */
  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work, work);
    this.#turn = result.catch(() => {});
    return result;
  }

  /** The image as callers see it. */
  describe(record: ImageRecord): Image {
    const names = this.index.namesOf(record.id);
    return {
      id: record.id,
      repoTags: names.filter((name) => !name.includes("@")),
      repoDigests: names.filter((name) => name.includes("@")),
      sizeBytes: record.layers.reduce((sum, layer) => sum + (this.layers.get(layer)?.sizeBytes ?? 0), 0),
      createdAtMs: record.createdAtMs,
      config: record.config,
    };
  }
}
