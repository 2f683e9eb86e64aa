import { join } from "node:path";
import type { Logger, Scope } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { makeAptImage, readMachineSuite } from "./apt-image.ts";
import { sumFiles } from "./disk-usage.ts";
import type { ImageRecord } from "./image-index.ts";
import { ImageStore } from "./image-store.ts";
import { ImageImporter } from "./layer-import.ts";
import type { Image, ImageService, PullProgress } from "./images.ts";
import { ProgressHub } from "./progress.ts";
import { type AptReference, canonicalName, parseReference } from "./reference.ts";
import { pullFromRegistry } from "./registry-pull.ts";
import { RootfsMounts } from "./rootfs.ts";
import { SharedWork } from "./shared-work.ts";

export interface ImagesOptions {
  /** Where images and writable root file systems lie; on a file system that carries overlays. */
  readonly stateDir: string;
  /** Where root file systems are mounted. */
  readonly runDir: string;
  readonly log: Logger;
  readonly scope: Scope;
  /** The ids of the images that a container uses. */
  readonly inUse: () => Promise<ReadonlySet<string>> | ReadonlySet<string>;
}

/** Opens the images of a state directory. What a killed process left half-made is removed. Closing the scope ends the pulls. */
export async function openImages(options: ImagesOptions): Promise<ImageService> {
  const store = await ImageStore.open(join(options.stateDir, "images"));
  const mounts = await RootfsMounts.open({ stateDir: options.stateDir, runDir: options.runDir, linksDir: store.layers.linksDir });
  const images = new Images({ ...options, store, mounts, machineSuite: await readMachineSuite() });
  options.scope.defer(() => images.idle());
  return images;
}

class Images implements ImageService {
  readonly #store: ImageStore;
  readonly #mounts: RootfsMounts;
  readonly #inUse: ImagesOptions["inUse"];
  readonly #log: Logger;
  readonly #machineSuite: string | undefined;
  readonly #progress = new ProgressHub();
  readonly #pulls: SharedWork<Image>;
  readonly #importer: ImageImporter;

  constructor(options: ImagesOptions & { store: ImageStore; mounts: RootfsMounts; machineSuite: string | undefined }) {
    this.#store = options.store;
    this.#mounts = options.mounts;
    this.#inUse = options.inUse;
    this.#log = options.log;
    this.#machineSuite = options.machineSuite;
    this.#pulls = new SharedWork(options.scope.signal);
    this.#importer = new ImageImporter(options.store, options.scope.signal);
  }

  async idle(): Promise<void> {
    await this.#pulls.idle();
  }

  async listImages(): Promise<Image[]> {
    return this.#store.index.records().map((record) => this.#store.describe(record));
  }

  async imageStatus(reference: string): Promise<Image | undefined> {
    const record = this.#find(reference);
    return record === undefined ? undefined : this.#store.describe(record);
  }

  async pullImage(text: string, signal: AbortSignal): Promise<Image> {
    const name = this.#canonical(text);
    return this.#pulls.do(name, signal, (shared) => this.#pull(text, name, shared));
  }

  async loadImages(): Promise<Image[]> {
    throw new EngineError("IMAGE_INVALID", "Loading archives is not built yet");
  }

  async removeImage(): Promise<{ untagged: string[]; deleted: string[] }> {
    throw new EngineError("IMAGE_IN_USE", "Removing images is not built yet");
  }

  async prune(): Promise<{ deleted: string[]; freedBytes: number }> {
    return { deleted: [], freedBytes: 0 };
  }

  async mountRootfs(imageId: string, containerKey: string): Promise<string> {
    const record = this.#store.index.get(imageId);
    if (record === undefined) throw new EngineError("IMAGE_NOT_FOUND", `Image ${imageId} is not here; pull it`);
    return this.#mounts.mount(containerKey, record.diffIds.map((diffId) => this.#store.layers.linkOf(diffId)));
  }

  removeRootfs(containerKey: string): Promise<void> {
    return this.#mounts.remove(containerKey);
  }

  listRootfs(): Promise<string[]> {
    return this.#mounts.list();
  }

  progress(signal: AbortSignal): AsyncIterable<PullProgress> {
    return this.#progress.listen(signal);
  }

  #canonical(text: string): string {
    return canonicalName(parseReference(text), this.#machineSuite ?? "stable");
  }

  #find(text: string): ImageRecord | undefined {
    const byId = this.#store.index.get(text);
    if (byId !== undefined) return byId;
    const byName = this.#store.index.named(this.#canonical(text));
    if (byName !== undefined) return byName;
    const [only, ...others] = /^[0-9a-f]{4,64}$/.test(text) ? this.#store.index.withPrefix(text) : [];
    return others.length === 0 ? only : undefined;
  }

  async #pull(text: string, name: string, signal: AbortSignal): Promise<Image> {
    const report = (progress: Omit<PullProgress, "reference">): void => this.#progress.report({ reference: name, ...progress });
    try {
      const reference = parseReference(text);
      if (reference.kind === "built-in") throw new EngineError("IMAGE_NOT_FOUND", `Image "${text}" is not built yet: this version of peapod has no companion images`);
      const record =
        reference.kind === "apt"
          ? await this.#makeApt(reference, name, report, signal)
          : await pullFromRegistry(reference, { store: this.#store, importer: this.#importer, name, report, signal });
      report({ phase: "done", message: "Done" });
      this.#log.info("image pulled", { image: name, id: record.id });
      return this.#store.describe(record);
    } catch (cause) {
      report({ phase: "failed", message: cause instanceof Error ? cause.message : String(cause) });
      throw cause;
    }
  }

  async #makeApt(reference: AptReference, name: string, report: (progress: Omit<PullProgress, "reference">) => void, signal: AbortSignal): Promise<ImageRecord> {
    await using work = await this.#store.workDir();
    const suite = reference.suite ?? this.#machineSuite ?? "stable";
    const onStep = (message: string): void => report({ phase: "making", message });
    const made = await makeAptImage(reference, { workDir: work.path, suite, machineSuite: this.#machineSuite, onStep, signal });
    using _held = this.#store.layers.hold([made.diffId]);
    const sizeBytes = await sumFiles(join(work.path, "diff"));
    await this.#store.sync(work.path, signal);
    await this.#store.layers.add({ diffId: made.diffId, sizeBytes }, work.path);
    return this.#store.commit(made.config, [name], Date.now());
  }
}
