import type { Pod } from "../generated.ts";

const DEFAULT_GRACE_SECONDS = 30;

/** Tells whether a pod's phase is one that it never leaves. */
export function isPodTerminal(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

/** The seconds a pod may take to stop: the deletion's, else the pod's own, else 30. A negative one counts as 1, as upstream. */
export function graceSeconds(pod: Pod): number {
  const seconds = pod.metadata.deletionGracePeriodSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
  return notNegative(seconds);
}

/** The seconds that a deletion gives a pod: none where nothing of it can run, else those asked for or its own. */
export function podDeletionGrace(pod: Pod, askedSeconds: number | undefined): number {
  if ((pod.spec?.nodeName ?? "") === "" || isPodTerminal(pod)) return 0;
  return askedSeconds ?? notNegative(pod.spec?.terminationGracePeriodSeconds ?? 0);
}

function notNegative(seconds: number): number {
  return seconds < 0 ? 1 : seconds;
}
