import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { isErrno, readTextIfPresent, writeFileAtomic } from "@peapod/kit";
import type { ImageConfig } from "./images.ts";
import type { Workplace } from "./workplace.ts";

/** What is kept of an image: everything but its layers. */
export interface ImageRecord {
  /** `sha256:...` of its configuration. */
  readonly id: string;
  readonly config: ImageConfig;
  /** Its layers, lowest first. */
  readonly diffIds: readonly string[];
  readonly createdAtMs: number;
}

/** Which images are here, and which names name them. In memory, and on disk before anybody sees it. One process writes it. */
export class ImageIndex {
  readonly #recordsDir: string;
  readonly #namesPath: string;
  readonly #records = new Map<string, ImageRecord>();
  #names = new Map<string, string>();

  private constructor(imagesDir: string) {
    this.#recordsDir = join(imagesDir, "images");
    this.#namesPath = join(imagesDir, "names.json");
  }

  /** Reads what is there. `isComplete` tells whether all layers of an image are here; an image that lacks one is forgotten. */
  static async open(imagesDir: string, isComplete: (record: ImageRecord) => boolean, workplace: Workplace): Promise<ImageIndex> {
    const index = new ImageIndex(imagesDir);
    await mkdir(index.#recordsDir, { recursive: true, mode: 0o700 });
    for (const file of await readdir(index.#recordsDir)) {
      const path = join(index.#recordsDir, file);
      const record = file.endsWith(".json") && !file.startsWith(".") ? await readRecord(path) : undefined;
      if (record !== undefined && isComplete(record)) index.#records.set(record.id, record);
      else await workplace.discardLeftover(path, async () => index.#records.has(`sha256:${file.slice(0, -".json".length)}`));
    }
    const names = JSON.parse((await readTextIfPresent(index.#namesPath)) ?? "{}") as Record<string, string>; // written by #saveNames
    index.#names = new Map(Object.entries(names).filter(([, id]) => index.#records.has(id)));
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

  /** Keeps an image, and gives it names that may have been another's. */
  async put(record: ImageRecord, names: readonly string[]): Promise<void> {
    if (!this.#records.has(record.id)) {
      await writeFileAtomic(this.#recordPath(record.id), JSON.stringify(record), { sync: true });
      this.#records.set(record.id, record);
    }
    if (names.every((name) => this.#names.get(name) === record.id)) return;
    const lost = names.flatMap((name) => this.#digestsLostWith(name, record.id));
    const kept = [...this.#names].filter(([name]) => !lost.includes(name));
    await this.#saveNames(new Map([...kept, ...names.map((name) => [name, record.id] as const)]));
  }

  async removeNames(names: readonly string[]): Promise<void> {
    await this.#saveNames(new Map([...this.#names].filter(([name]) => !names.includes(name))));
  }

  /** Forgets an image and its names. */
  async remove(id: string): Promise<void> {
    await this.removeNames(this.namesOf(id));
    await rm(this.#recordPath(id), { force: true });
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

async function readRecord(path: string): Promise<ImageRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(path, "utf8")) as ImageRecord; // written by put()
    return { ...record, config: { ...record.config, volumes: record.config.volumes ?? [] } }; // older engines kept none
  } catch (cause) {
    if (cause instanceof SyntaxError || isErrno(cause, "EISDIR")) return undefined; // what somebody broke: the image is pulled again
    throw cause;
  }
}
