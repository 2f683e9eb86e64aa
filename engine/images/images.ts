/** The node's images: moved by skopeo or made by mmdebstrap, each layer stored once by digest, stacked with overlayfs. */
export interface ImageService {
  listImages(): Promise<Image[]>;
  /** The complete name for what a person writes: `docker.io/library/nginx:latest` for `nginx`. Throws IMAGE_NAME_INVALID. */
  completeName(reference: string): string;
  /** The image that `reference` names here, without asking anybody; undefined where there is none. */
  imageStatus(reference: string, signal: AbortSignal): Promise<Image | undefined>;
  /**
   * Brings an image here: from its registry, or made from Debian's packages (`apt.local/...`). Pulls of one reference join.
   * Throws IMAGE_NAME_INVALID, IMAGE_NOT_FOUND, IMAGE_PULL_FAILED or IMAGE_INVALID with the reason; nothing half-made is left.
   */
  pullImage(reference: string, signal: AbortSignal): Promise<Image>;
  /**
   * Brings in the images of an OCI layout (directory or tar), an OCI archive or a docker archive, at a path on this machine.
   * `reference` names the one image in it, whatever the archive calls it. Throws IMAGE_NAME_INVALID where a name is one of those that the
   * engine makes itself. Gives what was loaded.
   */
  loadImages(path: string, options: { reference?: string }, signal: AbortSignal): Promise<LoadedImage[]>;
  /** Removes a name, and the image when it was its last; throws IMAGE_NOT_FOUND or IMAGE_IN_USE. Gives what was removed. */
  removeImage(reference: string): Promise<{ untagged: string[]; deleted: string[] }>;
  /** Removes every image that no container uses and, unless `all`, no name names. Gives the bytes won back. */
  prune(options: { all: boolean }): Promise<{ deleted: string[]; freedBytes: number }>;

  /** Mounts a writable root file system over an image's layers, for one container. Repeating it gives the same one. */
  mountRootfs(imageId: string, containerKey: string, signal: AbortSignal): Promise<string>;
  /** Unmounts and removes it, with what the container wrote. Safe to repeat. */
  removeRootfs(containerKey: string, signal: AbortSignal): Promise<void>;
  /** The containerKeys that have a root file system here, for clearing up after a crash. */
  listRootfs(): Promise<string[]>;

  /** The progress of the pulls under way, as it happens. Ends when the signal is aborted. */
  progress(signal: AbortSignal): AsyncIterable<PullProgress>;
}

export interface Image {
  /** `sha256:...`, the digest of its configuration. */
  readonly id: string;
  /** Names with a tag: `docker.io/library/nginx:1.27`, `apt.local/nginx:bookworm`. */
  readonly repoTags: readonly string[];
  /** Names with a manifest digest: `docker.io/library/nginx@sha256:...`. */
  readonly repoDigests: readonly string[];
  /** On disk, layers counted once. */
  readonly sizeBytes: number;
  readonly createdAtMs: number;
  readonly config: ImageConfig;
}

/** An image that was loaded. */
export interface LoadedImage extends Image {
  /** What it is called by that: the names in its archive, or the given one. */
  readonly names: readonly string[];
}

/** What of an OCI image configuration a container takes over. */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly stopSignal: string;
  /** Folders that every container of the image has, and may write to as far as their mode lets it. */
  readonly volumes: readonly string[];
}

export interface PullProgress {
  readonly reference: string;
  /** In the order they come; `done` and `failed` are last. */
  readonly phase: "resolving" | "downloading" | "extracting" | "making" | "done" | "failed";
  /** A sentence for a person: `Unpacking nginx-common`, `3 of 7 layers`. */
  readonly message: string;
  readonly currentBytes?: number;
  readonly totalBytes?: number;
}
