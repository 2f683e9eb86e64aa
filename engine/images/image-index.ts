import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { isErrno, readTextIfPresent, syncFolder, writeFileAtomic } from "@peapod/kit";
import type { ImageConfig } from "./images.ts";
import type { Workplace } from "./workplace.ts";

/** What is kept of an image: everything but its layers. */
export interface ImageRecord {
  /** `sha256:...` of its configuration. */
  readonly id: string;
  readonly config: ImageConfig;
  /** The ids of its layers, lowest first. */
  readonly layers: readonly string[];
  /** Of earlier layers of it, which a container may still stand on. They go with the image, or when nothing uses it. */
  readonly formerLayers?: readonly string[];
  readonly createdAtMs: number;
}

/** As it was before a layer was unpacked on top of those below it: by themselves, under their own digests. */
type EarlierRecord = Omit<ImageRecord, "layers"> & { readonly diffIds: readonly string[] };

/** Which images are here, and which names name them. In memory, and on disk before anybody sees it. One process writes it. */
export class ImageIndex {
  readonly #recordsDir: string;
  readonly #namesPath: string;
  readonly #records = new Map<string, ImageRecord>();
  #names = new Map<string, string>();
  /** The names that were taken from images of an earlier version: see `open`. */
  readonly outdated: string[] = [];

  private constructor(imagesDir: string) {
    this.#recordsDir = join(imagesDir, "images");
    this.#namesPath = join(imagesDir, "names.json");
  }

  /**
   * Reads what is there. `isComplete` tells whether all layers of an image are here; an image that lacks one is forgotten. One whose layers
   * an earlier version unpacked, several of them, may not be what it should: it loses its names, so that it is brought anew, and stays for
   * the containers that use it.
   */
  static async open(imagesDir: string, isComplete: (record: ImageRecord) => boolean, workplace: Workplace): Promise<ImageIndex> {
    const index = new ImageIndex(imagesDir);
    await mkdir(index.#recordsDir, { recursive: true, mode: 0o700 });
    const outdated = new Set<string>();
    for (const file of await readdir(index.#recordsDir)) {
      const path = join(index.#recordsDir, file);
      const found = file.endsWith(".json") && !file.startsWith(".") ? await readRecord(path) : undefined;
      if (found === undefined || !isComplete(found.record)) {
        await workplace.discardLeftover(path, async () => index.#records.has(`sha256:${file.slice(0, -".json".length)}`));
        continue;
      }
      index.#records.set(found.record.id, found.record);
      if (found.isEarlier && found.record.layers.length > 1) outdated.add(found.record.id);
    }
    const names = JSON.parse((await readTextIfPresent(index.#namesPath)) ?? "{}") as Record<string, string>; // written by #saveNames
    index.#names = new Map(Object.entries(names).filter(([, id]) => index.#records.has(id) && !outdated.has(id)));
    const lost = Object.entries(names).filter(([, id]) => outdated.has(id));
    index.outdated.push(...lost.map(([name]) => name));
    return index;
  }

  records(): ImageRecord[] {
    return [...this.#records.values()];
  }

  get(id: string): ImageRecord | undefined {
    return this.#records.get(id);
  }

  /** The image that a complete name names. */
  named(name: string): ImageRecord | undefined {
    return this.#records.get(this.#names.get(name) ?? "");
  }

  namesOf(id: string): string[] {
    return [...this.#names]
      .filter(([, named]) => named === id)
      .map(([name]) => name)
      .toSorted();
  }

  /** The images whose id begins with these hexadecimal digits. */
  withPrefix(hex: string): ImageRecord[] {
    return this.records().filter(({ id }) => id.startsWith(`sha256:${hex}`));
  }

  /** Keeps an image, and gives it names that may have been another's. The record is on the disk before a name is. */
  async put(record: ImageRecord, names: readonly string[]): Promise<void> {
    if (!isDeepStrictEqual(this.#records.get(record.id), record)) {
      await writeFileAtomic(this.#recordPath(record.id), JSON.stringify(record), { sync: true });
      this.#records.set(record.id, record);
    }
    if (names.every((name) => this.#names.get(name) === record.id)) return;
    const lost = names.flatMap((name) => this.#digestsLostWith(name, record.id));
    const kept = [...this.#names].filter(([name]) => !lost.includes(name));
    await this.#saveNames(new Map([...kept, ...names.map((name) => [name, record.id] as const)]));
  }

  /** Lets go of the layers that only a container of before may have stood on. */
  async forgetFormerLayers(id: string): Promise<void> {
    const { formerLayers, ...record } = this.#records.get(id) ?? {};
    if (formerLayers !== undefined) await this.put(record as ImageRecord, []); // it was whole with them
  }

  async removeNames(names: readonly string[]): Promise<void> {
    await this.#saveNames(new Map([...this.#names].filter(([name]) => !names.includes(name))));
  }

  /** Forgets an image and its names. */
  async remove(id: string): Promise<void> {
    await this.removeNames(this.namesOf(id));
    await rm(this.#recordPath(id), { force: true });
    await syncFolder(this.#recordsDir); // before its layers go: a record that comes back finds them whole
    this.#records.delete(id);
  }

  /** The image that a tag moves away from is not kept by its digest alone. */
  #digestsLostWith(name: string, newId: string): string[] {
    const oldId = this.#names.get(name);
    return oldId === undefined || oldId === newId ? [] : lonelyDigests(this.namesOf(oldId), name);
  }

  async #saveNames(names: Map<string, string>): Promise<void> {
    await writeFileAtomic(this.#namesPath, JSON.stringify(Object.fromEntries(names)), { sync: true });
    this.#names = names;
  }

  #recordPath(id: string): string {
    return join(this.#recordsDir, `${id.slice("sha256:".length)}.json`);
  }
}

/** Of an image's names, the digests that go with the tag `removed`: it is the last one of their repository. */
export function lonelyDigests(names: readonly string[], removed: string): string[] {
  const repository = (name: string): string =>
    name.includes("@") ? name.slice(0, name.indexOf("@")) : name.slice(0, name.lastIndexOf(":"));
  const others = new Set(names.filter((name) => name !== removed && !name.includes("@")).map(repository));
  return names.filter((name) => name.includes("@") && repository(name) === repository(removed) && !others.has(repository(name)));
}

async function readRecord(path: string): Promise<{ record: ImageRecord; isEarlier: boolean } | undefined> {
  try {
    const found = JSON.parse(await readFile(path, "utf8")) as ImageRecord | EarlierRecord; // written by put()
    const config = { ...found.config, volumes: found.config.volumes ?? [] }; // older engines kept none
    if ("layers" in found) return { record: { ...found, config }, isEarlier: false };
    const { diffIds, ...record } = found;
    return { record: { ...record, config, layers: diffIds }, isEarlier: true };
  } catch (cause) {
    if (cause instanceof SyntaxError || isErrno(cause, "EISDIR")) return undefined; // what somebody broke: the image is pulled again
    throw cause;
  }
}
