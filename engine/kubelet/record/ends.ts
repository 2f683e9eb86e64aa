import type { Pod, PodStatus } from "@peapod/api";
import { type Clock, monotonicOf } from "@peapod/kit";
import type { Container } from "../../runtime/runtime.ts";
import type { ContainerSeen, Ended } from "../decide/pod-seen.ts";

/** What tells the time: when something happened, and how long that is ago. */
export type Times = Pick<Clock, "nowMs" | "monotonicMs">;

type Termination = NonNullable<NonNullable<NonNullable<PodStatus["containerStatuses"]>[number]["state"]>["terminated"]>;

/** The end of a container that vanished: nobody knows how. */
export function unknownEnd(finishedAtMs: number, endedAtMs: number): Ended {
  const message = "The container could not be located when the pod was last looked at. It used to be Running";
  return { kind: "ended", exitCode: 137, reason: "ContainerStatusUnknown", message, finishedAtMs, endedAtMs };
}

/** A container's state as the plan sees it; `endedAtMs` is when it was first seen ended, by the monotonic clock. */
export function seenState({ state }: Container, endedAtMs: number): ContainerSeen["state"] {
  switch (state.kind) {
    case "created":
      return state;
    case "running":
      return { kind: "running", startedAtMs: state.startedAtMs };
    case "exited": {
      const { exitCode, startedAtMs, finishedAtMs } = state;
      const reason = exitCode === 0 ? "Completed" : state.oomKilled ? "OOMKilled" : "Error";
      return { kind: "ended", exitCode, reason, startedAtMs, finishedAtMs, endedAtMs };
    }
    case "unknown":
      return { ...unknownEnd(state.finishedAtMs, endedAtMs), startedAtMs: state.startedAtMs };
  }
}

/** The end that a status in the API tells of. */
export function endOf(terminated: Termination, clock: Times): Ended {
  const reasons = ["Completed", "Error", "OOMKilled", "ContainerStatusUnknown", "StartError"] as const;
  const startedAtMs = Date.parse(terminated.startedAt ?? "");
  const finishedAtMs = Date.parse(terminated.finishedAt ?? "") || clock.nowMs();
  return {
    kind: "ended",
    exitCode: terminated.exitCode,
    reason: reasons.find((reason) => reason === terminated.reason) ?? "Error",
    ...(terminated.message === undefined ? {} : { message: terminated.message }),
    ...(Number.isNaN(startedAtMs) ? {} : { startedAtMs }),
    finishedAtMs,
    endedAtMs: monotonicOf(clock, finishedAtMs),
  };
}

/** When the deletion of a pod that is found being deleted was asked for. Its timestamp has whole seconds, cut off: one more is still in time. */
export function deletionAtMs({ metadata }: Pod, clock: Times): number {
  const { deletionTimestamp = "", deletionGracePeriodSeconds = 0 } = metadata;
  return monotonicOf(clock, Date.parse(deletionTimestamp) + 999 - deletionGracePeriodSeconds * 1_000);
}
