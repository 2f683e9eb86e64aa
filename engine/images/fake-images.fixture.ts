import { EngineError } from "../errors.ts";
import type { Image, ImageConfig, ImageService, LoadedImage, PullProgress } from "./images.ts";

/** Images in memory: what `add` names is present, what `publish` names can be pulled. Root file systems are only names. */
export class FakeImages implements ImageService {
  readonly calls: string[] = [];
  readonly #present = new Map<string, Image>();
  readonly #remote = new Map<string, Image>();
  readonly #rootfs = new Set<string>();
  readonly #failures: { readonly call: string; readonly error: Error }[] = [];

  /** Makes an image present. */
  add(reference: string, config: Partial<ImageConfig> = {}): Image {
    const image = fakeImage(reference, config);
    this.#present.set(reference, image);
    return image;
  }

  /** Makes an image one that a pull brings. */
  publish(reference: string, config: Partial<ImageConfig> = {}): Image {
    const image = fakeImage(reference, config);
    this.#remote.set(reference, image);
    return image;
  }

  failNext(call: "imageStatus" | "pullImage" | "mountRootfs" | "removeRootfs", error: Error): void {
    this.#failures.push({ call, error });
  }

  async listImages(): Promise<Image[]> {
    return [...this.#present.values()];
  }

  completeName(reference: string): string {
    return reference;
  }

  async imageStatus(reference: string): Promise<Image | undefined> {
    this.#enter("imageStatus", reference);
    return this.#present.get(reference);
  }

  async pullImage(reference: string, signal: AbortSignal): Promise<Image> {
    signal.throwIfAborted();
    this.#enter("pullImage", reference);
    const image = this.#remote.get(reference) ?? this.#present.get(reference);
    if (image === undefined) throw new EngineError("IMAGE_NOT_FOUND", `Cannot pull "${reference}": no such image`);
    this.#present.set(reference, image);
    return image;
  }

  async loadImages(): Promise<LoadedImage[]> {
    return [];
  }

  async removeImage(reference: string): Promise<{ untagged: string[]; deleted: string[] }> {
    const image = this.#present.get(reference);
    if (image === undefined) throw new EngineError("IMAGE_NOT_FOUND", `No image "${reference}" is here`);
    this.#present.delete(reference);
    return { untagged: [reference], deleted: [image.id] };
  }

  async prune(): Promise<{ deleted: string[]; freedBytes: number }> {
    return { deleted: [], freedBytes: 0 };
  }

  async mountRootfs(_imageId: string, containerKey: string): Promise<string> {
    this.#enter("mountRootfs", containerKey);
    this.#rootfs.add(containerKey);
    return `/fake/rootfs/${containerKey}`;
  }

  async removeRootfs(containerKey: string): Promise<void> {
    this.#enter("removeRootfs", containerKey);
    this.#rootfs.delete(containerKey);
  }

  async listRootfs(): Promise<string[]> {
    return [...this.#rootfs];
  }

  async *progress(_signal: AbortSignal): AsyncIterable<PullProgress> {}

  #enter(call: string, what: string): void {
    this.calls.push(`${call} ${what}`);
    const index = this.#failures.findIndex((failure) => failure.call === call);
    const [failure] = index < 0 ? [] : this.#failures.splice(index, 1);
    if (failure !== undefined) throw failure.error;
  }
}

function fakeImage(reference: string, config: Partial<ImageConfig>): Image {
  return {
    id: `sha256:${Buffer.from(reference).toString("hex").padEnd(64, "0").slice(0, 64)}`,
    repoTags: [reference],
    repoDigests: [],
    sizeBytes: 1_000_000,
    createdAtMs: 0,
    config: {
      entrypoint: [],
      cmd: ["/bin/app"],
      env: ["PATH=/usr/bin:/bin"],
      user: "",
      workingDir: "",
      stopSignal: "",
      volumes: [],
      ...config,
    },
  };
}
