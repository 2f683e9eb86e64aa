import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Cleanups, run } from "@peapod/kit";
import { ImageIndex, type ImageRecord } from "./image-index.ts";
import { parseImageConfig } from "./image-config.ts";
import type { Image } from "./images.ts";
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
    const isComplete = ({ diffIds }: ImageRecord): boolean => diffIds.every((diffId) => layers.get(diffId) !== undefined);
    const index = await ImageIndex.open(imagesDir, isComplete, workplace);
    return new ImageStore({ layers, index, workplace });
  }

  /** A folder to make something in; removed when disposed, and when the store is opened again. */
  async workDir(): Promise<AsyncDisposable & { readonly path: string }> {
    return this.workplace.makeFolder();
  }

  /** Keeps an image whose layers are here, or held, under these names. Gives its record. */
  async commit(config: Uint8Array, names: readonly string[], nowMs: number): Promise<ImageRecord> {
    const id = `sha256:${createHash("sha256").update(config).digest("hex")}`;
    const parsed = parseImageConfig(config);
    const record: ImageRecord = this.index.get(id) ?? { id, config: parsed.config, diffIds: parsed.diffIds, createdAtMs: nowMs };
    const missing = record.diffIds.find((diffId) => this.layers.get(diffId) === undefined);
    if (missing !== undefined) throw new Error(`Image ${id} lacks its layer ${missing}`);
    await this.exclusive(() => this.index.put(record, names));
    return record;
  }

  /** Flushes the file system that `path` lies on: a layer that is there after a power failure is whole. */
  async sync(path: string, signal: AbortSignal): Promise<void> {
    await run("sync", ["--file-system", path], { signal });
  }

  /** Removes the layers that no image has; gives the bytes won back. */
  async removeUnusedLayers(): Promise<number> {
    return this.layers.removeUnused(new Set(this.index.records().flatMap(({ diffIds }) => diffIds)));
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
      sizeBytes: [...new Set(record.diffIds)].reduce((sum, diffId) => sum + (this.layers.get(diffId)?.sizeBytes ?? 0), 0),
      createdAtMs: record.createdAtMs,
      config: record.config,
    };
  }
}
