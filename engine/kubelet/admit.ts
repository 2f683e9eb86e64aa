import { checkSupport, type Pod, type PodStatus, qosClass } from "@peapod/api";

/** Why a pod cannot run here. */
export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/** A message is shown in events and lists. */
const MOST_SHOWN = 5;

/**
 * Whether this kubelet honours all that a pod asks for; undefined if so. Its own API server takes no other pods, but a foreign one does,
 * and a pod never runs by half.
 */
export function refusalOf(pod: Pod): Refusal | undefined {
  const refusals = checkSupport(pod).refusals.filter(({ pathSegments }) => pathSegments[0] === "spec");
  if (refusals.length === 0) return undefined;
  const shown = refusals.slice(0, MOST_SHOWN).map(({ path, message }) => `${path}: ${message}`);
  const more = refusals.length > shown.length ? [`and ${refusals.length - shown.length} more`] : [];
  return { reason: "PodFeatureUnsupported", message: [...shown, ...more].join("; ") };
}

/** The status of a pod that was refused: upstream's, which says nothing of containers. */
export function refusedStatus(pod: Pod, { reason, message }: Refusal): PodStatus {
  return {
    ...pod.status,
    phase: "Failed",
    reason,
    message: `Pod was rejected: ${message}`,
    qosClass: pod.status?.qosClass ?? qosClass(pod),
  };
}
