import type { ContainerStatus, Pod } from "../generated.ts";
import { age } from "../values/durations.ts";
import { podContainers } from "./containers.ts";
import { isPodTerminal } from "./pod-predicates.ts";

/** A pod's cells, in the order of the pod columns. The rules are those of upstream's printers.go, printPod. */
export function podCells(pod: Pod, nowMs: number): string[] {
  const { status, spec } = pod;
  const summary = summarize(pod);
  const since = summary.lastRestart === undefined ? "" : ` (${age(summary.lastRestart, nowMs)} ago)`;
  const gates = spec?.readinessGates ?? [];
  const open = gates.filter(({ conditionType }) => hasTrueCondition(pod, conditionType)).length;
  return [
    pod.metadata.name ?? "",
    `${summary.ready}/${summary.total}`,
    summary.reason,
    summary.restarts === 0 ? "0" : `${summary.restarts}${since}`,
    age(pod.metadata.creationTimestamp, nowMs),
    orNone(status?.podIPs?.[0]?.ip ?? status?.podIP),
    orNone(spec?.nodeName),
    orNone(status?.nominatedNodeName),
    gates.length === 0 ? "<none>" : `${open}/${gates.length}`,
  ];
}

interface Summary {
  readonly ready: number;
  readonly total: number;
  readonly reason: string;
  readonly restarts: number;
  /** When the newest of the counted restarts' predecessors ended. */
  readonly lastRestart: string | undefined;
}

function summarize(pod: Pod): Summary {
  const sidecars = new Set(podContainers(pod.spec, ["sidecar"]).map(({ name }) => name));
  const total = podContainers(pod.spec, ["application"]).length + sidecars.size;
  const gated = (pod.status?.conditions ?? []).some(({ type, reason }) => type === "PodScheduled" && reason === "SchedulingGated");
  const start = gated ? "SchedulingGated" : (nonEmpty(pod.status?.reason) ?? pod.status?.phase ?? "");
  const init = initialization(pod, sidecars);
  const initStatuses = pod.status?.initContainerStatuses ?? [];
  if (init.reason !== undefined && !hasTrueCondition(pod, "Initialized"))
    return {
      ready: init.ready,
      total,
      reason: ending(pod, init.reason),
      restarts: restarts(init.seen),
      lastRestart: lastRestart(init.seen),
    };
  const statuses = pod.status?.containerStatuses ?? [];
  const counted = [...initStatuses.filter(({ name }) => sidecars.has(name) && init.seen.some((seen) => seen.name === name)), ...statuses];
  const ready = init.ready + statuses.filter(({ ready: isReady, state }) => isReady && state?.running !== undefined).length;
  const reason = appReason(pod, statuses, init.reason ?? start);
  return { ready, total, reason: ending(pod, reason), restarts: restarts(counted), lastRestart: lastRestart(counted) };
}

/** The init containers looked at, up to the one that holds the pod back, and what that one says. */
function initialization(pod: Pod, sidecars: ReadonlySet<string>): { ready: number; reason: string | undefined; seen: ContainerStatus[] } {
  const statuses = pod.status?.initContainerStatuses ?? [];
  let ready = 0;
  for (const [index, container] of statuses.entries()) {
    const seen = statuses.slice(0, index + 1);
    const { terminated, waiting } = container.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (sidecars.has(container.name) && container.started === true) {
      if (container.ready) ready++;
      continue;
    }
    if (terminated !== undefined) return { ready, reason: `Init:${endReason(terminated)}`, seen };
    const why = nonEmpty(waiting?.reason);
    if (why !== undefined && why !== "PodInitializing") return { ready, reason: `Init:${why}`, seen };
    return { ready, reason: `Init:${index}/${podContainers(pod.spec, ["init", "sidecar"]).length}`, seen };
  }
  return { ready, reason: undefined, seen: statuses };
}

/** The first container that has something to say. */
function appReason(pod: Pod, statuses: readonly ContainerStatus[], start: string): string {
  let reason = start;
  let hasRunning = false;
  for (const { state, ready } of statuses.toReversed()) {
    const why = nonEmpty(state?.waiting?.reason);
    if (why !== undefined) reason = why;
    else if (state?.terminated !== undefined) reason = endReason(state.terminated);
    else if (ready && state?.running !== undefined) hasRunning = true;
  }
  if (reason !== "Completed" || !hasRunning) return reason;
  return hasTrueCondition(pod, "Ready") ? "Running" : "NotReady";
}

function ending(pod: Pod, reason: string): string {
  if (pod.metadata.deletionTimestamp === undefined) return reason;
  if (pod.status?.reason === "NodeLost") return "Unknown";
  return isPodTerminal(pod) ? reason : "Terminating";
}

function endReason(terminated: { reason?: string; signal?: number; exitCode: number }): string {
  if (terminated.reason !== undefined && terminated.reason !== "") return terminated.reason;
  return (terminated.signal ?? 0) === 0 ? `ExitCode:${terminated.exitCode}` : `Signal:${terminated.signal}`;
}

function restarts(statuses: readonly ContainerStatus[]): number {
  return statuses.reduce((sum, { restartCount }) => sum + restartCount, 0);
}

function lastRestart(statuses: readonly ContainerStatus[]): string | undefined {
  return statuses
    .map(({ lastState }) => lastState?.terminated?.finishedAt)
    .filter((at): at is string => at !== undefined)
    .sort((left, right) => Date.parse(left) - Date.parse(right))
    .at(-1);
}

function hasTrueCondition(pod: Pod, wanted: string): boolean {
  return (pod.status?.conditions ?? []).some(({ type, status }) => type === wanted && status === "True");
}

function orNone(text: string | undefined): string {
  return nonEmpty(text) ?? "<none>";
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
