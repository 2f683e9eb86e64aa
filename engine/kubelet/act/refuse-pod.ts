import { isPodTerminal } from "@peapod/api";
import { refusalOf, refusedStatus } from "../admit.ts";
import type { PodRecord } from "../record/pod-record.ts";
import { recordEvent, type Services } from "../services.ts";

/**
 * Lets a pod fail of which nothing is on the machine yet and that this kubelet cannot honour; false where it is to have a turn. One that runs
 * was admitted, and one that is being deleted only goes.
 */
export async function refuseUnfit(services: Services, record: PodRecord, signal: AbortSignal): Promise<boolean> {
  const pod = record.wanted;
  if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return false;
  if (record.sandboxes.seen.length > 0 || record.containers.all.length > 0) return false;
  const refusal = refusalOf(pod);
  if (refusal === undefined) return false;
  if (isPodTerminal(pod) || record.status.phase === "Failed") return true;
  await services.statusWriter.write(record, refusedStatus(pod, refusal), signal);
  recordEvent(services, record, "Warning", refusal.reason, refusal.message);
  return true;
}
