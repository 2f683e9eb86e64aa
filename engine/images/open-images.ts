import { join } from "node:path";
import { Cleanups, LatestHub, type Logger, messageOf, type Scope, systemClock } from "@peapod/kit";
import { EngineError, hasCode } from "../errors.ts";
import { makeAptImage, readMachineSuite } from "./apt/apt-image.ts";
import { loadArchive } from "./archive-load.ts";
import { companionFingerprint, makeCompanionImage } from "./companion-image.ts";
import { sumFiles } from "./disk-usage.ts";
import type { ImageRecord } from "./image-index.ts";
import { pruneImages, removeImage } from "./image-removal.ts";
import { ImageStore } from "./image-store.ts";
import { ImageImporter } from "./layer-import.ts";
import type { Image, ImageService, LoadedImage, PullProgress } from "./images.ts";
import { type AptReference, type BuiltInReference, canonicalName, givenName, type ImageReference, parseReference } from "./reference.ts";
import { pullFromRegistry, type Report } from "./registry/registry-pull.ts";
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
  const { stateDir, runDir, log, scope } = options;
  const store = await ImageStore.open(join(stateDir, "images"), new Cleanups({ clock: systemClock, log, signal: scope.signal }));
  const { outdated } = store.index;
  if (outdated.length > 0) log.warn("images of an earlier version lost their names: pull or load them again", { names: outdated });
  const mounts = await RootfsMounts.open({ stateDir, runDir, linksDir: store.layers.linksDir, workplace: store.workplace });
  const images = new Images({ ...options, store, mounts, machineSuite: await readMachineSuite() });
  scope.defer(() => images.idle());
  return images;
}

class Images implements ImageService {
  readonly #store: ImageStore;
  readonly #mounts: RootfsMounts;
  readonly #inUse: ImagesOptions["inUse"];
  readonly #log: Logger;
  readonly #machineSuite: string | undefined;
  readonly #closing: AbortSignal;
  readonly #progress = new LatestHub<PullProgress>();
  readonly #pulls: SharedWork<Image>;
  readonly #importer: ImageImporter;

  constructor(options: ImagesOptions & { store: ImageStore; mounts: RootfsMounts; machineSuite: string | undefined }) {
    this.#store = options.store;
    this.#mounts = options.mounts;
    this.#inUse = options.inUse;
    this.#log = options.log;
    this.#machineSuite = options.machineSuite;
    this.#closing = options.scope.signal;
    this.#pulls = new SharedWork(options.scope.signal);
    this.#importer = new ImageImporter(options.store, options.scope.signal);
  }

  async idle(): Promise<void> {
    await this.#pulls.idle();
  }

  async listImages(): Promise<Image[]> {
    return this.#store.index.records().map((record) => this.#store.describe(record));
  }

  completeName(reference: string): string {
    return this.#canonical(reference);
  }

  async imageStatus(reference: string, signal: AbortSignal): Promise<Image | undefined> {
    signal.throwIfAborted();
    const { record } = this.#find(reference);
    return record === undefined ? undefined : this.#store.describe(record);
  }

  async pullImage(text: string, signal: AbortSignal): Promise<Image> {
    const name = this.#canonical(text);
    return this.#pulls.do(name, signal, (shared) => this.#pull(text, name, shared));
  }

  async loadImages(path: string, options: { reference?: string }, signal: AbortSignal): Promise<LoadedImage[]> {
    const loaded = await loadArchive(path, {
      store: this.#store,
      importer: this.#importer,
      canonical: (name) => nameCarried(name, path),
      reference: options.reference === undefined ? undefined : givenName(options.reference),
      report: (progress) => this.#progress.publish(progress.reference, progress),
      signal: AbortSignal.any([signal, this.#closing]),
    });
    this.#log.info("images loaded", { path, ids: loaded.map(({ record }) => record.id) });
    return loaded.map(({ record, names }) => ({ ...this.#store.describe(record), names }));
  }

  async removeImage(text: string): Promise<{ untagged: string[]; deleted: string[] }> {
    return this.#store.exclusive(async () => {
      const { record, name } = this.#find(text);
      if (record === undefined) throw new EngineError("IMAGE_NOT_FOUND", `There is no image "${text}" here`);
      return removeImage(this.#store, { record, name }, await this.#inUse());
    });
  }

  async prune(options: { all: boolean }): Promise<{ deleted: string[]; freedBytes: number }> {
    return this.#store.exclusive(async () => pruneImages(this.#store, options, await this.#inUse()));
  }

  async mountRootfs(imageId: string, containerKey: string, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    const record = this.#store.index.get(imageId);
    if (record === undefined) throw new EngineError("IMAGE_NOT_FOUND", `Image ${imageId} is not here; pull it`);
    return this.#mounts.mount(
      containerKey,
      record.layers.map((id) => this.#store.layers.linkOf(id)),
    );
  }

  async removeRootfs(containerKey: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
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

  /** By name, by id, or by the beginning of an id that only one image has. `name` is undefined where it was found by its id. */
  #find(text: string): { record: ImageRecord | undefined; name: string | undefined } {
    const { index } = this.#store;
    const hex = /^(?:sha256:)?([0-9a-f]{4,64})$/.exec(text)?.[1];
    if (hex === undefined || hex.length < 64) {
      const name = text.startsWith("sha256:") ? undefined : this.#canonical(text);
      const record = index.named(name ?? "");
      if (record !== undefined) return { record, name };
    }
    const [only, ...others] = hex === undefined ? [] : index.withPrefix(hex);
    return { record: others.length === 0 ? only : undefined, name: undefined };
  }

  async #pull(text: string, name: string, signal: AbortSignal): Promise<Image> {
    const report: Report = (progress) => this.#progress.publish(name, { reference: name, ...progress });
    try {
      const reference = parseReference(text);
      const record = await this.#bring(reference, name, report, signal);
      report({ phase: "done", message: "Done" });
      this.#log.info("image pulled", { image: name, id: record.id });
      return this.#store.describe(record);
    } catch (cause) {
      report({ phase: "failed", message: messageOf(cause) });
      throw cause;
    }
  }

  async #bring(reference: ImageReference, name: string, report: Report, signal: AbortSignal): Promise<ImageRecord> {
    switch (reference.kind) {
      case "registry":
        return pullFromRegistry(reference, { store: this.#store, importer: this.#importer, name, report, signal });
      case "apt":
        // There is no cheap way to ask for news: an image of packages stays as it was made until it is removed.
        return this.#store.index.named(name) ?? (await this.#makeApt(reference, name, report, signal));
      case "built-in":
        return await this.#makeCompanion(reference, name, report, signal);
    }
  }

  /** Its digest is that of what it was made of: while that is so, the image stays. */
  async #makeCompanion(reference: BuiltInReference, name: string, report: Report, signal: AbortSignal): Promise<ImageRecord> {
    const made = `${reference.name}@${await companionFingerprint(reference)}`;
    const known = this.#store.index.named(made);
    if (known !== undefined) return known;
    await using work = await this.#store.workDir();
    const folder = join(work.path, "layout");
    const onStep = (message: string): void => report({ phase: "making", message });
    await makeCompanionImage(reference, { folder, imageName: name, onStep, signal });
    const [loaded] = await loadArchive(folder, {
      store: this.#store,
      importer: this.#importer,
      canonical: () => undefined,
      reference: name,
      report: ({ message }) => report({ phase: "extracting", message }),
      signal,
    });
    if (loaded === undefined) throw new Error(`The builder of ${reference.name} made no image`);
    await this.#store.exclusive(() => this.#store.index.put(loaded.record, [name, made]));
    return loaded.record;
  }

  async #makeApt(reference: AptReference, name: string, report: Report, signal: AbortSignal): Promise<ImageRecord> {
    await using work = await this.#store.workDir();
    const suite = reference.suite ?? this.#machineSuite ?? "stable";
    const onStep = (message: string): void => report({ phase: "making", message });
    const made = await makeAptImage(reference, { workDir: work.path, suite, machineSuite: this.#machineSuite, onStep, signal });
    using _held = this.#store.layers.hold([made.diffId]);
    const sizeBytes = await sumFiles(join(work.path, "diff"), signal);
    await this.#store.layers.add({ id: made.diffId, sizeBytes }, work.path);
    return await this.#store.commit(made.config, { names: [name], nowMs: Date.now(), signal });
  }
}

/**
 * The name that an archive gives to its image. Its own names are full ones: a tag alone, as OCI layouts have it, and what is no name at all
 * name nothing, nor does a digest. Throws IMAGE_NAME_INVALID for a name that the engine answers for.
 */
function nameCarried(name: string, path: string): string | undefined {
  if (!/[/:]/.test(name)) return undefined;
  let reference: ImageReference;
  try {
    reference = parseReference(name);
  } catch (cause) {
    if (hasCode(cause, "IMAGE_NAME_INVALID")) return undefined;
    throw cause;
  }
  if (reference.kind === "registry" && reference.digest !== undefined) return undefined;
  try {
    return givenName(name);
  } catch (cause) {
    if (!hasCode(cause, "IMAGE_NAME_INVALID")) throw cause;
    throw new EngineError("IMAGE_NAME_INVALID", `Cannot load ${path}: ${cause.message}; give it one of your own with --name`);
  }
}
