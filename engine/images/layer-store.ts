import { mkdir, readdir, readFile, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isErrno } from "@peapod/kit";
import type { Workplace } from "./workplace.ts";

/** What is known of a layer that lies here, unpacked. */
export interface Layer {
  /** `sha256:...` of the uncompressed tar: its name here. */
  readonly diffId: string;
  /** The sum of its regular files. */
  readonly sizeBytes: number;
  /** `sha256:...` of the compressed blob that it came from, so that another image's need not be downloaded again. */
  readonly blobDigest?: string;
}

/**
 * Layers, each once, as unpacked folders: `layers/HEX/diff`, complete or not there. `l/ID` is a short link to it: overlayfs
 * takes its options in one page, and a layer's own path is some 130 characters long.
 */
export class LayerStore {
  readonly #layersDir: string;
  /** Where the short names lie. Mount from here. */
  readonly linksDir: string;
  readonly #workplace: Workplace;
  readonly #layers = new Map<string, Layer>();
  readonly #links = new Map<string, string>();
  /** Counts, for each layer, the work under way that needs it. */
  readonly #holds = new Map<string, number>();

  private constructor(imagesDir: string, workplace: Workplace) {
    this.#workplace = workplace;
    this.#layersDir = join(imagesDir, "layers");
    this.linksDir = join(imagesDir, "l");
  }

  /** Finds what is there, and mends the short names. */
  static async open(imagesDir: string, workplace: Workplace): Promise<LayerStore> {
    const store = new LayerStore(imagesDir, workplace);
    await mkdir(store.#layersDir, { recursive: true, mode: 0o700 });
    await mkdir(store.linksDir, { recursive: true, mode: 0o700 });
    await store.#load();
    return store;
  }

  get(diffId: string): Layer | undefined {
    return this.#layers.get(diffId);
  }

  findByBlob(blobDigest: string): Layer | undefined {
    return this.#layers.values().find((layer) => layer.blobDigest === blobDigest);
  }

  /** The short name of a layer that is here. */
  linkOf(diffId: string): string {
    const link = this.#links.get(diffId);
    if (link === undefined) throw new Error(`No layer ${diffId} here`);
    return link;
  }

  /** Takes over `workDir`, whose `diff` is a finished layer. One that is here already stays. */
  async add(layer: Layer, workDir: string): Promise<void> {
    if (this.#layers.has(layer.diffId)) return;
    await writeFile(join(workDir, "layer.json"), JSON.stringify(layer));
    await rename(workDir, this.#path(layer.diffId));
    await this.#link(layer.diffId);
    this.#layers.set(layer.diffId, layer);
  }

  /** Keeps layers, here or to come, from being removed until the result is disposed. */
  hold(diffIds: readonly string[]): Disposable {
    const count = (diffId: string, by: number): void => {
      const held = (this.#holds.get(diffId) ?? 0) + by;
      if (held === 0) this.#holds.delete(diffId);
      else this.#holds.set(diffId, held);
    };
    for (const diffId of diffIds) count(diffId, 1);
    return {
      [Symbol.dispose]: () => {
        for (const diffId of diffIds) count(diffId, -1);
      },
    };
  }

  /** Removes the layers that nothing holds and `wanted` lacks; gives the bytes won back. */
  async removeUnused(wanted: ReadonlySet<string>): Promise<number> {
    const unused = this.#layers.values().filter(({ diffId }) => !wanted.has(diffId) && !this.#holds.has(diffId));
    let freedBytes = 0;
    for (const layer of unused.toArray()) {
      this.#layers.delete(layer.diffId);
      const link = this.#links.get(layer.diffId);
      this.#links.delete(layer.diffId);
      if (link !== undefined) await rm(join(this.linksDir, link), { force: true });
      await this.#workplace.discard(this.#path(layer.diffId));
      freedBytes += layer.sizeBytes;
    }
    return freedBytes;
  }

  #path(diffId: string): string {
    return join(this.#layersDir, diffId.slice("sha256:".length));
  }

  async #load(): Promise<void> {
    for (const hex of await readdir(this.#layersDir)) {
      const path = join(this.#layersDir, hex);
      const layer = await readLayer(path);
      if (layer === undefined) await this.#workplace.discardLeftover(path, async () => (await readLayer(path)) !== undefined);
      else this.#layers.set(layer.diffId, layer);
    }
    for (const link of await readdir(this.linksDir)) {
      const diffId = `sha256:${(await readLinkIfLink(join(this.linksDir, link)))?.split("/")[2]}`;
      if (this.#layers.has(diffId) && !this.#links.has(diffId)) this.#links.set(diffId, link);
      else await this.#workplace.discardLeftover(join(this.linksDir, link), async () => [...this.#links.values()].includes(link));
    }
    for (const diffId of this.#layers.keys()) {
      if (!this.#links.has(diffId)) await this.#link(diffId);
    }
  }

  async #link(diffId: string): Promise<void> {
    const taken = new Set(this.#links.values());
    let number = taken.size;
    while (taken.has(number.toString(36))) number += 1;
    const link = number.toString(36);
    this.#links.set(diffId, link);
    await symlink(`../layers/${diffId.slice("sha256:".length)}/diff`, join(this.linksDir, link));
  }
}

async function readLayer(path: string): Promise<Layer | undefined> {
  try {
    return JSON.parse(await readFile(join(path, "layer.json"), "utf8")) as Layer; // written by add()
  } catch (cause) {
    if (cause instanceof SyntaxError || isErrno(cause, "ENOENT", "ENOTDIR", "EISDIR")) return undefined;
    throw cause;
  }
}

async function readLinkIfLink(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (cause) {
    if (isErrno(cause, "EINVAL")) return undefined;
    throw cause;
  }
}
