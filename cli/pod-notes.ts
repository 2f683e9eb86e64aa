import type { ContainerStatus, Pod } from "@peapod/api";

/** Something a user should know of a pod. */
export interface Note {
  readonly level: "info" | "trouble";
  /** Undefined: of the pod as a whole. */
  readonly container?: string;
  /** The id of the container that ended: its log comes first. */
  readonly ended?: string;
  readonly text: string;
}

/** Waiting that goes by: nothing to tell. */
const passing = new Set(["ContainerCreating", "PodInitializing"]);

/** What changed between two looks at a pod that is worth telling. `before` is undefined at the first look. */
export function podNotes(before: Pod | undefined, after: Pod): Note[] {
  const notes = (after.status?.containerStatuses ?? []).flatMap((status) => {
    const earlier = before?.status?.containerStatuses?.find(({ name }) => name === status.name);
    return containerNotes(earlier, status, after);
  });
  const { reason, message, phase } = after.status ?? {};
  if (phase === "Failed" && reason !== undefined && before?.status?.reason !== reason) {
    notes.push({ level: "trouble", text: message === undefined ? reason : `${reason}: ${message}` });
  }
  return notes;
}

function containerNotes(before: ContainerStatus | undefined, after: ContainerStatus, pod: Pod): Note[] {
  const container = after.name;
  const notes: Note[] = [];
  const ended = after.state?.terminated ?? (after.restartCount > (before?.restartCount ?? 0) ? after.lastState?.terminated : undefined);
  const known = before?.state?.terminated ?? before?.lastState?.terminated;
  const isStopping = pod.metadata.deletionTimestamp !== undefined;
  // One that could not be started has no id.
  const isNews =
    known === undefined ||
    ended?.containerID !== known.containerID ||
    (ended?.containerID === undefined && after.restartCount !== before?.restartCount);
  if (ended !== undefined && isNews) {
    const how = `exited with ${ended.exitCode}${ended.reason === undefined || ["Completed", "Error"].includes(ended.reason) ? "" : ` (${ended.reason})`}`;
    const detail = ended.reason === "StartError" || ended.reason === "ContainerCannotRun" ? `: ${ended.message ?? ""}` : "";
    const level = ended.exitCode === 0 || isStopping ? "info" : "trouble";
    notes.push({ level, container, ...(ended.containerID === undefined ? {} : { ended: ended.containerID }), text: how + detail });
  }
  if (before !== undefined && after.restartCount > before.restartCount)
    notes.push({ level: "info", container, text: `restarted, for the ${nth(after.restartCount)} time` });
  const waiting = after.state?.waiting;
  const isNew =
    waiting?.reason !== before?.state?.waiting?.reason ||
    (waiting?.message !== before?.state?.waiting?.message && waiting?.reason !== "CrashLoopBackOff");
  if (waiting?.reason !== undefined && !passing.has(waiting.reason) && isNew && !isStopping) {
    // The back-off repeats what the failed pull just said.
    const message =
      before?.state?.waiting?.reason === "ErrImagePull" ? waiting.message?.replace(/: ErrImagePull: .*$/s, "") : waiting.message;
    notes.push({ level: "trouble", container, text: message === undefined ? waiting.reason : `${waiting.reason}: ${message}` });
  }
  return notes;
}

function nth(count: number): string {
  const tens = count % 100;
  const suffix = tens >= 11 && tens <= 13 ? "th" : (["th", "st", "nd", "rd"][count % 10] ?? "th");
  return `${count}${suffix}`;
}
