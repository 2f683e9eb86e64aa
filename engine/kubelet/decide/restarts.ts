import type { Pod } from "@peapod/api";
import type { ContainerSeen, Ended, PodSeen, RestartBackoff } from "./pod-seen.ts";

const BACKOFF_INITIAL_MS = 10_000;
const BACKOFF_MAXIMUM_MS = 300_000;
/** A container that ran this long starts from the shortest back-off again. */
const BACKOFF_RESET_MS = 600_000;

/** Whether a container that ended is to be started again: the pod's restart policy wants it, or it ended because its definition changed. */
export function wantsRestart(pod: Pod, last: ContainerSeen, seen: PodSeen): boolean {
  if (last.state.kind !== "ended") return false;
  if (isOutdated(last, seen)) return true;
  const policy = pod.spec?.restartPolicy ?? "Always";
  return policy === "Always" || (policy === "OnFailure" && last.state.exitCode !== 0);
}

/** When a container that ended may be started again. */
export function restartAtMs(ended: Ended, backoff: RestartBackoff | undefined): number {
  if (backoff === undefined || isWornOut(ended, backoff)) return ended.endedAtMs;
  return ended.endedAtMs + backoff.delayMs;
}

/** The back-off that holds for the next start of a container. A changed definition starts without one. */
export function currentBackoff(last: ContainerSeen | undefined, seen: PodSeen): RestartBackoff | undefined {
  return last === undefined || isOutdated(last, seen) ? undefined : seen.memories.get(last.name)?.backoff;
}

/** The back-off that a restart at this time begins, for the end after it. */
export function nextBackoff(ended: Ended, backoff: RestartBackoff | undefined, nowMs: number): RestartBackoff {
  const isFirst = backoff === undefined || isWornOut(ended, backoff);
  return { delayMs: isFirst ? BACKOFF_INITIAL_MS : Math.min(backoff.delayMs * 2, BACKOFF_MAXIMUM_MS), restartedAtMs: nowMs };
}

/** Whether a container was made of another definition than its pod has now. */
export function isOutdated(container: ContainerSeen, seen: PodSeen): boolean {
  const memory = seen.memories.get(container.name);
  return memory !== undefined && memory.specHash !== container.specHash;
}

/** The back-off after so many restarts, as if each run had been too short to count. */
export function backoffAfter(restarts: number, restartedAtMs: number): RestartBackoff {
  return { delayMs: Math.min(BACKOFF_INITIAL_MS * 2 ** Math.min(restarts - 1, 30), BACKOFF_MAXIMUM_MS), restartedAtMs };
}

function isWornOut(ended: Ended, backoff: RestartBackoff): boolean {
  return ended.endedAtMs - backoff.restartedAtMs > BACKOFF_RESET_MS;
}
