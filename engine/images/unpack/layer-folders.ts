import { lstatSync, mkdirSync, readlinkSync } from "node:fs";
import type { LayerBudget } from "./layer-limits.ts";
import type { TarEntry } from "../tar/tar-entries.ts";
import { TarError } from "../tar/tar-error.ts";

/** The kernel's limit of symbolic links in one path. */
const LINK_LIMIT = 40;

/** A folder that an entry lay in, or was: what is known of it. */
export interface LayerFolder {
  /** What is known to lie in it: folders, and, as undefined, the layer's own of other kinds. */
  readonly children: Map<string, LayerFolder | undefined>;
  /** The layer's own, or with some of the layer's own in it. */
  isOwn: boolean;
  /** Nothing of the layers below is in it: what is not among `children` is not there. */
  isClear: boolean;
  /** What it gets in the end, when nothing is written into it any more. */
  entry: TarEntry | undefined;
}

/** A folder, found. `path` is its real one; "" is the root. */
export interface FoundFolder {
  readonly path: string;
  readonly folder: LayerFolder;
  /** From the root down to it. */
  readonly way: readonly LayerFolder[];
}

/** A name as the kernel takes it. Names are latin1 here: a character for each byte. */
export function bytesOf(name: string): Buffer {
  return Buffer.from(name === "" ? "/" : name, "latin1");
}

/** The parts of an entry's path, from the root; "." and the like taken out. Throws a TarError where it leaves the root. */
export function splitPath(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) throw new TarError("It leaves the root of the image");
  }
  return parts;
}

/**
 * The folders below this process's root, as far as a layer has to do with them. Symbolic links on the way are followed as a container
 * would follow them: the kernel holds them inside the root, and ".." of the root is the root.
 */
export class LayerFolders {
  readonly root: LayerFolder;
  readonly #budget: LayerBudget;

  /** `isClear`: the root is empty. */
  constructor(budget: LayerBudget, isClear: boolean) {
    this.#budget = budget;
    this.root = { children: new Map(), isOwn: true, isClear, entry: undefined };
  }

  /** Finds the folder with these parts, making what is missing, or, where `create` is false, giving undefined. */
  find(parts: readonly string[], { create }: { create: boolean }): FoundFolder | undefined {
    let names: string[] = [];
    let way = [this.root];
    const ahead = parts.toReversed();
    for (let links = 0; ahead.length > 0;) {
      const part = ahead.pop() ?? "";
      if (links > 0) this.#budget.step(); // a link may lead any way round
      if (part === "" || part === ".") continue;
      if (part === "..") {
        names.pop();
        if (way.length > 1) way.pop();
        continue;
      }
      const parent = way.at(-1) ?? this.root;
      const entered = parent.children.get(part) ?? this.#enter(parent, { part, path: `/${[...names, part].join("/")}`, create });
      if (entered === undefined) return undefined;
      if (typeof entered !== "string") {
        names.push(part);
        way.push(entered);
        this.#budget.depth(names.length);
        continue;
      }
      links += 1;
      if (links > LINK_LIMIT) throw new TarError(`It goes through more than ${LINK_LIMIT} symbolic links`);
      if (entered.startsWith("/")) [names, way] = [[], [this.root]];
      ahead.push(...entered.split("/").toReversed());
    }
    return { path: names.map((name) => `/${name}`).join(""), folder: way.at(-1) ?? this.root, way };
  }

  /** What nobody looked at yet: the folder, the target of the link, or undefined where there is nothing. */
  #enter(parent: LayerFolder, at: { part: string; path: string; create: boolean }): LayerFolder | string | undefined {
    const { part, path, create } = at;
    this.#budget.step();
    const stat = lstatSync(bytesOf(path), { throwIfNoEntry: false });
    if (stat === undefined) {
      if (!create) return undefined;
      this.#budget.entry();
      mkdirSync(bytesOf(path), { mode: 0o755 });
    } else if (stat.isSymbolicLink()) return readlinkSync(bytesOf(path), "latin1");
    else if (!stat.isDirectory()) throw new TarError("It lies below what is no folder");
    return addFolder(parent, part, { isNew: stat === undefined });
  }
}

/** Notes a folder: a new one, or one of the layers below. */
export function addFolder(parent: LayerFolder, name: string, { isNew }: { isNew: boolean }): LayerFolder {
  const folder: LayerFolder = { children: new Map(), isOwn: isNew, isClear: isNew, entry: undefined };
  parent.children.set(name, folder);
  return folder;
}
