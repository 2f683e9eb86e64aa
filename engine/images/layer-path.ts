import { lstatSync, mkdirSync, readlinkSync } from "node:fs";
import { TarError } from "./tar-entries.ts";

/** The kernel's limit of symbolic links in one path. */
const LINK_LIMIT = 40;

/** The parts of an entry's path, from the root; "." and the like taken out. Throws a TarError where it leaves the root. */
export function splitPath(path: string, base: readonly string[] = []): string[] {
  const parts = path.startsWith("/") ? [] : [...base];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) throw new TarError(`"${path}" leaves the root of the image`);
  }
  return parts;
}

/**
 * Finds an entry's folder below the process's root, making what is missing. A symbolic link on the way is followed as a
 * container would follow it, but only to a folder that is there: one that a careless program would have followed out of the layer
 * leads nowhere here.
 */
export class LayerFolders {
  /** Paths known to be folders and no links. */
  readonly #known = new Set<string>([""]);

  /** The real path of the folder with these parts; "" is the root. */
  resolve(parts: readonly string[], options: { create: boolean }, links = 0): string {
    let path = "";
    for (const part of parts) path = this.#enter(`${path}/${part}`, options, links);
    return path;
  }

  /** To be called when something was removed: a folder may have become something else. */
  forget(): void {
    this.#known.clear();
    this.#known.add("");
  }

  #enter(path: string, options: { create: boolean }, links: number): string {
    if (this.#known.has(path)) return path;
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink() === true) {
      if (links >= LINK_LIMIT) throw new TarError(`It goes through too many symbolic links at "${path}"`);
      const target = splitPath(readlinkSync(path), path.split("/").slice(1, -1));
      return this.resolve(target, { create: false }, links + 1);
    }
    if (stat === undefined) {
      if (!options.create) throw new TarError(`It goes through a symbolic link to "${path}", which is not in the layer`);
      mkdirSync(path, { mode: 0o755 });
    } else if (!stat.isDirectory()) throw new TarError(`"${path}" is no folder`);
    this.#known.add(path);
    return path;
  }
}
