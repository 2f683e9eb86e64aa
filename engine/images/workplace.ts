import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { type Cleanups, delay, isErrno } from "@peapod/kit";
import { removeTree } from "../linux/remove-tree.ts";

/** What a killed engine started may be dying in a folder, and still writing. */
const DYING_MS = 200;

/**
 * The folder in which images are made, and into which goes what is to be removed: nobody depends on its content, and it is emptied when it
 * is opened. What cannot be removed is tried again, and in nobody's way.
 */
export class Workplace {
  readonly #dir: string;
  readonly #cleanups: Cleanups;

  private constructor(dir: string, cleanups: Cleanups) {
    this.#dir = dir;
    this.#cleanups = cleanups;
  }

  static async open(dir: string, cleanups: Cleanups): Promise<Workplace> {
    const workplace = new Workplace(dir, cleanups);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const left: string[] = [];
    for (const name of await readdir(dir)) if (!(await isRemoved(join(dir, name)))) left.push(join(dir, name));
    if (left.length > 0) await delay(DYING_MS);
    for (const path of left) await workplace.#remove(path);
    return workplace;
  }

  /** A folder to make something in, removed when it is disposed. */
  async makeFolder(): Promise<AsyncDisposable & { readonly path: string }> {
    const path = this.#newPath();
    await mkdir(path, { mode: 0o700 });
    return { path, [Symbol.asyncDispose]: () => this.#remove(path) };
  }

  /**
   * Removes a file or folder from its place at once, and from the disk as soon as that can be done; where it lies on another file
   * system, or the disk is too full even for that, at once from both. Not there is success; throws where it cannot even be moved.
   */
  async discard(path: string): Promise<void> {
    const place = this.#newPath();
    try {
      await rename(path, place);
    } catch (cause) {
      if (isErrno(cause, "ENOENT")) return;
      if (isErrno(cause, "EXDEV", "ENOSPC", "EDQUOT")) return await removeTree(path);
      throw cause;
    }
    await this.#remove(place);
  }

  /** For leftovers found at start: as `discard`, unless `isWanted` by then; tried again where it fails. Never rejects. */
  async discardLeftover(path: string, isWanted: () => Promise<boolean> = async () => false): Promise<void> {
    await this.#cleanups.attempt(`discard ${path}`, async () => {
      if (!(await isWanted())) await this.discard(path);
    });
  }

  #newPath(): string {
    return join(this.#dir, randomUUID());
  }

  async #remove(path: string): Promise<void> {
    await this.#cleanups.attempt(`remove ${path}`, () => removeTree(path));
  }
}

async function isRemoved(path: string): Promise<boolean> {
  try {
    await removeTree(path);
    return true;
  } catch {
    return false; // it is tried once more, and told of then
  }
}
