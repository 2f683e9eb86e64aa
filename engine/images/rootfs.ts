import { chmodSync, chownSync, closeSync, constants, mkdirSync, openSync, statSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isErrno } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { mount, mountInThread, unmountInThread } from "../linux/libc.ts";
import { removeTree } from "../linux/remove-tree.ts";
import { explainOverlay } from "./overlay-failure.ts";
import type { Workplace } from "./workplace.ts";

const O_PATH = 0x20_0000;
/** What mount(2) takes of its options. */
const PAGE_BYTES = 4096;
/** Kernel: OVL_MAX_STACK. */
const LAYER_LIMIT = 500;
/** What an image without layers lies on, seen from the folder of the short names. */
const emptyLayer = "../empty";

export interface RootfsOptions {
  readonly stateDir: string;
  readonly runDir: string;
  /** Where the layers' short names lie. */
  readonly linksDir: string;
  readonly workplace: Workplace;
}

/**
 * The containers' writable root file systems: overlays of an image's layers and a folder in `stateDir/rootfs/KEY`,
 * mounted on `runDir/rootfs/KEY`. The mount is gone after a reboot, the folder is not; what was in it is worth nothing then.
 */
export class RootfsMounts {
  readonly #writableDir: string;
  readonly #mountsDir: string;
  readonly #linksDir: string;
  readonly #workplace: Workplace;
  #volatile = ",volatile";

  private constructor(options: RootfsOptions) {
    this.#writableDir = join(options.stateDir, "rootfs");
    this.#mountsDir = join(options.runDir, "rootfs");
    this.#linksDir = options.linksDir;
    this.#workplace = options.workplace;
  }

  static async open(options: RootfsOptions): Promise<RootfsMounts> {
    const mounts = new RootfsMounts(options);
    await mkdir(mounts.#writableDir, { recursive: true, mode: 0o700 });
    await mkdir(mounts.#mountsDir, { recursive: true, mode: 0o700 });
    await mkdir(join(mounts.#linksDir, emptyLayer), { recursive: true, mode: 0o755 });
    return mounts;
  }

  /** Mounts the layers `links`, lowest first, for `key`. Gives the path; the same one where it is mounted already. */
  async mount(key: string, links: readonly string[]): Promise<string> {
    const target = this.#target(key);
    if (isMountPoint(target)) return target;
    await this.#workplace.discard(join(this.#writableDir, key));
    const lower = stack(links);
    if (lower.length > LAYER_LIMIT)
      throw new EngineError("IMAGE_INVALID", `The image has ${lower.length} layers; overlayfs takes ${LAYER_LIMIT}`);
    try {
      await this.#mountLayers(key, target, lower);
    } catch (cause) {
      await this.remove(key);
      throw this.#explain(cause);
    }
    return target;
  }

  /** Unmounts and removes: what a container made of it does not keep it here. Safe to repeat. */
  async remove(key: string): Promise<void> {
    const target = this.#target(key);
    while (await unmountInThread(target)); // somebody may have mounted over it
    await removeTree(target);
    await this.#workplace.discard(join(this.#writableDir, key));
  }

  /** The keys that have a folder or a mount. */
  async list(): Promise<string[]> {
    return [...new Set([...(await readdir(this.#writableDir)), ...(await readdir(this.#mountsDir))])].toSorted();
  }

  async #mountLayers(key: string, target: string, lower: readonly string[]): Promise<void> {
    const writable = join(this.#writableDir, key);
    mkdirSync(join(writable, "work"), { recursive: true, mode: 0o700 });
    mkdirSync(join(writable, "upper"));
    copyRootAttributes(join(this.#linksDir, lower[0] ?? emptyLayer), join(writable, "upper"));
    mkdirSync(target, { recursive: true, mode: 0o700 });
    try {
      await this.#overlay(key, target, lower, this.#volatile);
    } catch (cause) {
      // Linux before 5.10 does not know `volatile` (no syncs for what lives as long as its container).
      if (!isErrno(cause, "EINVAL") || this.#volatile === "") throw cause;
      await this.#overlay(key, target, lower, "");
      this.#volatile = "";
    }
  }

  /** By short names, since all have to fit into one page: from the folder's descriptor, or, where that is still too long, from within it. */
  async #overlay(key: string, target: string, lower: readonly string[], tail: string): Promise<void> {
    const optionsFrom = (folder: string): string => {
      const layers = lower.map((layer) => `${folder}${layer}`).join(":");
      const own = `${folder}../../rootfs/${key}`;
      return `lowerdir=${layers},upperdir=${own}/upper,workdir=${own}/work,index=off${tail}`;
    };
    const links = openSync(this.#linksDir, O_PATH | constants.O_DIRECTORY);
    try {
      const data = optionsFrom(`/proc/self/fd/${links}/`);
      if (data.length < PAGE_BYTES) return await mountInThread(target, { source: "overlay", type: "overlay", data });
    } finally {
      closeSync(links);
    }
    // All in one go: nobody else's code runs while the working directory is another.
    inDirectory(this.#linksDir, () => mount(target, { source: "overlay", type: "overlay", data: optionsFrom("") }));
  }

  #target(key: string): string {
    if (!/^[\w][\w.-]*$/.test(key)) throw new Error(`Container key "${key}" cannot be a file name`);
    return join(this.#mountsDir, key);
  }

  #explain(cause: unknown): unknown {
    return (isErrno(cause, "EINVAL", "ENODEV") ? explainOverlay(cause.code, join(this.#writableDir, "key"), cause) : undefined) ?? cause;
  }
}

/** Topmost first, as overlayfs wants it, and each once: it refuses a layer twice, and the lower one adds nothing. */
function stack(links: readonly string[]): string[] {
  return links.length === 0 ? [emptyLayer] : [...new Set(links.toReversed())];
}

/** The root of an overlay shows the upper folder's owner and mode. */
function copyRootAttributes(from: string, to: string): void {
  const { uid, gid, mode } = statSync(from);
  chownSync(to, uid, gid);
  chmodSync(to, mode & 0o7777);
}

function inDirectory(path: string, act: () => void): void {
  const back = openSync(".", O_PATH | constants.O_DIRECTORY);
  try {
    process.chdir(path);
    act();
  } finally {
    process.chdir(`/proc/self/fd/${back}`);
    closeSync(back);
  }
}

function isMountPoint(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && stat.dev !== statSync(dirname(path)).dev;
}
