import type { ContainerFailure } from "./image-access.ts";

/** What is known of a pod on this machine. Times are by the monotonic clock, but for those that are only shown. */
export interface PodSeen {
  /** Oldest first. */
  readonly sandboxes: readonly SandboxSeen[];
  /** Whether the newest sandbox is connected. */
  readonly networkReady: boolean;
  /** `stale`: there, but what they show has changed. */
  readonly volumes: "missing" | "stale" | "ready" | { readonly problems: readonly string[] };
  /** Every container of the pod, those that ended too, by attempt, oldest first. */
  readonly containers: readonly ContainerSeen[];
  /** What is remembered of each container by name, beside what the machine shows. */
  readonly memories: ReadonlyMap<string, ContainerMemory>;
  /** After trouble with the pod as a whole: not before this time. */
  readonly retryAtMs: number;
  /** When its deletion was asked for. */
  readonly deletedAtMs: number | undefined;
  /** Its last known phase. */
  readonly phase: string | undefined;
  /** Whether everything of it has been removed. */
  readonly isTornDown: boolean;
}

export interface SandboxSeen {
  readonly id: string;
  readonly attempt: number;
  readonly ready: boolean;
  /** Whether it has been stopped and disconnected, and not only found dead. */
  readonly isStopped: boolean;
}

export interface ContainerSeen {
  /** Undefined where the runtime has it no more, or never finished making it. */
  readonly id: string | undefined;
  readonly name: string;
  readonly attempt: number;
  readonly specHash: string;
  readonly sandboxId: string | undefined;
  readonly state: { readonly kind: "created" } | { readonly kind: "running"; readonly startedAtMs: number } | Ended;
  /** Set while it is being stopped: the whole grace that it was given. */
  readonly killing?: { readonly graceSeconds: number };
}

/** A container that ended. */
export interface Ended {
  readonly kind: "ended";
  readonly exitCode: number;
  readonly reason: "Completed" | "Error" | "OOMKilled" | "ContainerStatusUnknown" | "StartError";
  readonly message?: string;
  /** By the wall clock, to be shown. */
  readonly startedAtMs?: number;
  /** By the wall clock, to be shown. */
  readonly finishedAtMs: number;
  /** By the monotonic clock: what waits are counted from. */
  readonly endedAtMs: number;
}

export interface ContainerMemory {
  readonly backoff?: RestartBackoff;
  /** Its image is being pulled. */
  readonly isPulling: boolean;
  /** Why it could not be started, and when to try again. */
  readonly failure?: ContainerFailure;
  /** What of its specification, changed, wants a new container. */
  readonly specHash: string;
}

/** How long to wait after the next end, and when the last restart was. */
export interface RestartBackoff {
  readonly delayMs: number;
  readonly restartedAtMs: number;
}

/** The newest container of a name. */
export function newest(seen: PodSeen, name: string): ContainerSeen | undefined {
  return seen.containers.findLast((container) => container.name === name);
}
