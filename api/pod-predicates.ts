import type { Pod } from "./generated.ts";
/** Tells whether a pod's phase is one that it never leaves. */
export function isPodTerminal(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}
/** The seconds a pod may take to stop: the deletion's, else the pod's own, else 30; never negative. */
export function graceSeconds(pod: Pod): number {
  return Math.max(0, pod.metadata.deletionGracePeriodSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? 30);
}
