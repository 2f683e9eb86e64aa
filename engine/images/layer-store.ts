import { mkdir, readdir, readFile, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { isErrno } from "@peapod/kit";
import type { LayersBelow } from "./layer-mount.ts";
import type { Workplace } from "./workplace.ts";

/** What is known of a layer that lies here, unpacked. */
export interface Layer {
  /** `sha256:...`: its name here, of it and of what it lies on (see `chainIds`). */
  readonly id: string;
  /** What it lies on; none: it is the lowest. */
  readonly parent?: string;
  /** What it takes on the disk: the sum of its regular files. */
  readonly sizeBytes: number;
  /** `sha256:...` of the compressed blob that it came from, so that another image's need not be downloaded again. */
  readonly blobDigest?: string;
}

/**
 * Layers, each once, as unpacked folders: `layers/HEX/diff`. Its record, `layers/HEX/layer.json`, is written with it, and may be
 * all that a power failure left of it: whole are those that an image's record names. `l/ID` is a short link to it: overlayfs takes its
 * options in one page, and a layer's own path is some 130 characters long.
 */
export class LayerStore {
  readonly #layersDir: string;
  /** Where the short names lie. Mount from here. */
  readonly linksDir: string;
  readonly #workplace: Workplace;
  readonly #layers = new Map<string, Layer>();
  readonly #links = new Map<string, string>();
  /** Those that a power failure may still take. */
  readonly #new = new Set<string>();
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

  get(id: string): Layer | undefined {
    return this.#layers.get(id);
  }

  /** The layers that are here of those that came from these blobs, lowest first: as many as lie on each other from the lowest on. */
  findByBlobs(blobDigests: readonly string[]): string[] {
    const found: string[] = [];
    for (const blobDigest of blobDigests) {
      const parent = found.at(-1);
      const layer = this.#layers.values().find((each) => each.blobDigest === blobDigest && each.parent === parent);
      if (layer === undefined) break;
      found.push(layer.id);
    }
    return found;
  }

  /** What a layer that is made in `workDir` is unpacked on top of. */
  below(ids: readonly string[], workDir: string): LayersBelow {
    return { linksDir: this.linksDir, links: ids.map((id) => this.linkOf(id)), workDir: relative(this.linksDir, workDir) };
  }

  /** The layers of these that no commit has made durable yet. */
  newOf(ids: readonly string[]): string[] {
    return ids.filter((id) => this.#new.has(id));
  }

  /** Takes note that these are on the disk, whatever happens. */
  settle(ids: readonly string[]): void {
    for (const id of ids) this.#new.delete(id);
  }

  /** The short name of a layer that is here. */
  linkOf(id: string): string {
    const link = this.#links.get(id);
    if (link === undefined) throw new Error(`No layer ${id} here`);
    return link;
  }

  /** Takes over `workDir`, whose `diff` is a finished layer. One that is here already stays. */
  async add(layer: Layer, workDir: string): Promise<void> {
    if (this.#layers.has(layer.id)) return;
    await writeFile(join(workDir, "layer.json"), JSON.stringify(layer));
    await this.#workplace.discard(this.#path(layer.id)); // what could not be removed before
    await rename(workDir, this.#path(layer.id));
    await this.#link(layer.id);
    this.#layers.set(layer.id, layer);
    this.#new.add(layer.id);
  }

  /** Keeps layers, here or to come, from being removed until the result is disposed. */
  hold(ids: readonly string[]): Disposable {
    const count = (id: string, by: number): void => {
      const held = (this.#holds.get(id) ?? 0) + by;
      if (held === 0) this.#holds.delete(id);
      else this.#holds.set(id, held);
    };
    for (const id of ids) count(id, 1);
    return {
      [Symbol.dispose]: () => {
        for (const id of ids) count(id, -1);
      },
    };
  }

  /** Removes the layers that nothing holds and `wanted` lacks; gives the bytes won back. */
  async removeUnused(wanted: ReadonlySet<string>): Promise<number> {
    const unused = this.#layers.values().filter(({ id }) => !wanted.has(id) && !this.#holds.has(id));
    let freedBytes = 0;
    for (const layer of unused.toArray()) {
      this.#layers.delete(layer.id);
      this.#new.delete(layer.id);
      const link = this.#links.get(layer.id);
      this.#links.delete(layer.id);
      if (link !== undefined) await rm(join(this.linksDir, link), { force: true });
      await this.#workplace.discard(this.#path(layer.id));
      freedBytes += layer.sizeBytes;
    }
    return freedBytes;
  }

  #path(id: string): string {
    return join(this.#layersDir, id.slice("sha256:".length));
  }

  async #load(): Promise<void> {
    for (const hex of await readdir(this.#layersDir)) {
      const path = join(this.#layersDir, hex);
      const layer = await readLayer(path);
      if (layer === undefined) await this.#workplace.discardLeftover(path, async () => (await readLayer(path)) !== undefined);
      else this.#layers.set(layer.id, layer);
    }
    for (const link of await readdir(this.linksDir)) {
      const id = `sha256:${(await readLinkIfLink(join(this.linksDir, link)))?.split("/")[2]}`;
      if (this.#layers.has(id) && !this.#links.has(id)) this.#links.set(id, link);
      else await this.#workplace.discardLeftover(join(this.linksDir, link), async () => [...this.#links.values()].includes(link));
    }
    for (const id of this.#layers.keys()) {
      if (!this.#links.has(id)) await this.#link(id);
    }
  }

  async #link(id: string): Promise<void> {
    const taken = new Set(this.#links.values());
    let number = taken.size;
    while (taken.has(number.toString(36))) number += 1;
    const link = number.toString(36);
    this.#links.set(id, link);
    await symlink(`../layers/${id.slice("sha256:".length)}/diff`, join(this.linksDir, link));
  }
}

async function readLayer(path: string): Promise<Layer | undefined> {
  try {
    const found = JSON.parse(await readFile(join(path, "layer.json"), "utf8")) as Layer & { diffId?: string }; // written by add()
    const { diffId, ...layer } = found; // its name before layers were named by what they lie on, too
    return diffId === undefined ? layer : { ...layer, id: diffId };
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
