import type { ContainerStatus, Pod } from "@peapod/api";

/** What kubectl's STATUS column says of a pod: its phase, or what is the matter with it. */
export function podStatusText(pod: Pod): string {
  if (pod.metadata.deletionTimestamp !== undefined) return "Terminating";
  const { status = {} } = pod;
  const initial = initText(pod);
  if (initial !== undefined) return initial;
  let text = status.reason ?? status.phase ?? "Unknown";
  let isRunning = false;
  for (const container of (status.containerStatuses ?? []).toReversed()) {
    text = troubleOf(container) ?? text;
    isRunning ||= container.ready && container.state?.running !== undefined;
  }
  if (text === "Completed" && isRunning) return isReady(pod) ? "Running" : "NotReady";
  return text;
}

/** What one container does: `Running`, or the reason why not. */
export function containerStatusText(container: ContainerStatus): string {
  if (container.state?.running !== undefined) return container.ready ? "Running" : "Running (not ready)";
  return troubleOf(container) ?? "Waiting";
}

/** Ready and all containers, as in `2/3`. */
export function readyText(pod: Pod): string {
  const statuses = pod.status?.containerStatuses ?? [];
  const total = pod.spec?.containers.length ?? statuses.length;
  return `${statuses.filter(({ ready, state }) => ready && state?.running !== undefined).length}/${total}`;
}

export function restartCount(pod: Pod): number {
  return (pod.status?.containerStatuses ?? []).reduce((sum, container) => sum + container.restartCount, 0);
}

/** Whether the pod's Ready condition is True. */
export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
}

/** Succeeded or Failed: nothing of it runs any more, or will. */
export function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

function troubleOf({ state }: ContainerStatus): string | undefined {
  if (state?.waiting?.reason !== undefined) return state.waiting.reason;
  const terminated = state?.terminated;
  if (terminated === undefined) return undefined;
  if (terminated.reason !== undefined && terminated.reason !== "") return terminated.reason;
  return terminated.signal === undefined || terminated.signal === 0 ? `ExitCode:${terminated.exitCode}` : `Signal:${terminated.signal}`;
}

function initText(pod: Pod): string | undefined {
  const statuses = pod.status?.initContainerStatuses ?? [];
  const total = pod.spec?.initContainers?.length ?? 0;
  for (const [index, container] of statuses.entries()) {
    if (container.state?.terminated?.exitCode === 0 || container.started === true) continue;
    const trouble = troubleOf(container);
    return trouble === undefined || trouble === "PodInitializing" ? `Init:${index}/${total}` : `Init:${trouble}`;
  }
  return undefined;
}

/** What a pod waits for, in a line: a node, or what these containers' reasons say. */
export function waitingText(pod: Pod, containers: readonly string[]): string {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False") return `it has no node: ${scheduled.message ?? scheduled.reason ?? ""}`;
  const reasons = containers.map((name) => {
    const waiting = pod.status?.containerStatuses?.find((status) => status.name === name)?.state?.waiting;
    const why = waiting?.reason ?? "ContainerCreating";
    return `${name} is waiting (${waiting?.message === undefined ? why : `${why}: ${waiting.message}`})`;
  });
  return reasons.join(", ");
}
