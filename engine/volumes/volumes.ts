import type { HostPathVolumeSource } from "@peapod/api";

/** The directories behind a pod's volumes. One pod's calls come one after the other. */
export interface VolumeService {
  /**
   * Makes a volume ready and gives the path on the host that containers mount. Repeating it gives the same path and
   * keeps what is in it; for files, it brings them up to date, all or nothing (upstream's atomic writer).
   * Throws VOLUME_FAILED with a reason such as upstream's `hostPath type check failed: /x is not a directory`.
   */
  setUp(podUid: string, name: string, volume: VolumePlan, signal: AbortSignal): Promise<string>;
  /** Resolves a subPath of a volume safely (no symlink leads out), making it where it is missing; gives the path to mount. */
  subPath(podUid: string, name: string, subPath: string, signal: AbortSignal): Promise<string>;
  /** Unmounts and removes everything of a pod, but for what hostPath names. Safe to repeat. */
  tearDown(podUid: string, signal: AbortSignal): Promise<void>;
  /** The pods that have something here, for clearing up after a crash. */
  listPods(): Promise<string[]>;
  /** A file of the pod's own beside its volumes, such as etc-hosts; gives its path. Same lifetime as the volumes. */
  writePodFile(podUid: string, name: string, content: string, mode: number, signal: AbortSignal): Promise<string>;
}

/** A volume with everything resolved that comes from the API. */
export type VolumePlan =
  | { readonly kind: "emptyDir"; readonly medium: "" | "Memory"; readonly sizeLimitBytes?: number }
  | { readonly kind: "hostPath"; readonly source: HostPathVolumeSource }
  /** ConfigMap (on disk) or Secret (`memory`: on a tmpfs). `mountPoints` are the folders in it that other volumes are mounted on. */
  | {
      readonly kind: "files";
      readonly memory: boolean;
      readonly files: readonly VolumeFile[];
      readonly mountPoints?: readonly string[];
    };

export interface VolumeFile {
  /** Relative, no `..`; may have folders. */
  readonly path: string;
  readonly content: Uint8Array;
  readonly mode: number;
}
