import type { Container } from "@peapod/api";

/** How long the next pull of an image waits after those that failed. */
export interface PullBackoff {
  readonly delayMs: number;
  /** By the monotonic clock. */
  readonly untilMs: number;
  /** Why the last one failed. */
  readonly reason: string;
}

/** Why a container cannot be started, as its status says it, and when to try again, by the monotonic clock. */
export interface ContainerFailure {
  readonly reason: string;
  readonly message: string;
  readonly retryAtMs: number;
}

/** What to do for the image of a container that is to be started. */
export type ImageStep =
  | { readonly kind: "use" }
  | { readonly kind: "pull" }
  | { readonly kind: "wait"; readonly failure: ContainerFailure };

const PULL_INITIAL_MS = 10_000;
const PULL_MAXIMUM_MS = 300_000;
/** How long a status says ErrImagePull before it says ImagePullBackOff. */
const SHOW_ERROR_MS = 2_000;
const NEVER_RETRY_MS = 10_000;

/** Whether the policy of a container asks for its image whether it is here or not. */
export function asksAlways({ imagePullPolicy = "IfNotPresent" }: Container): boolean {
  return imagePullPolicy === "Always";
}

/** What the pull policy and earlier failures say of an image that is here, or not. */
export function planImage(container: Container, isPresent: boolean, backoff: PullBackoff | undefined, nowMs: number): ImageStep {
  const { image = "" } = container;
  if (isPresent && !asksAlways(container)) return { kind: "use" };
  if (container.imagePullPolicy === "Never") {
    const message = `Container image "${image}" is not present with pull policy of Never`;
    return { kind: "wait", failure: { reason: "ErrImageNeverPull", message, retryAtMs: nowMs + NEVER_RETRY_MS } };
  }
  if (backoff === undefined || nowMs >= backoff.untilMs) return { kind: "pull" };
  const message = `Back-off pulling image "${image}": ${backoff.reason}`;
  return { kind: "wait", failure: { reason: "ImagePullBackOff", message, retryAtMs: backoff.untilMs } };
}

/** After a pull that failed: twice the wait of the one before. */
export function nextPullBackoff(before: PullBackoff | undefined, said: string, nowMs: number): PullBackoff {
  const delayMs = before === undefined ? PULL_INITIAL_MS : Math.min(before.delayMs * 2, PULL_MAXIMUM_MS);
  return { delayMs, untilMs: nowMs + delayMs, reason: `ErrImagePull: ${said}` };
}

/** What a status says right after a pull that failed. */
export function pullFailure(said: string, nowMs: number): ContainerFailure {
  return { reason: "ErrImagePull", message: said, retryAtMs: nowMs + SHOW_ERROR_MS };
}

/** What a status says of an image whose name no pull could mend. */
export function nameFailure({ image = "" }: Container, said: string, nowMs: number): ContainerFailure {
  const message = `Failed to apply default image tag "${image}": ${said}`;
  return { reason: "InvalidImageName", message, retryAtMs: nowMs + PULL_MAXIMUM_MS };
}
