import {
  type Container,
  type ContainerState,
  type ContainerStatus,
  type Pod,
  type PodCondition,
  podContainers,
  type PodStatus,
  qosClass,
  timestamp,
} from "@peapod/api";
import { podState } from "./plan.ts";
import { type ContainerSeen, type Ended, newest, type PodSeen } from "./pod-seen.ts";
import { currentBackoff, restartAtMs, wantsRestart } from "./restarts.ts";

/** What a status says beside what is seen of the pod. */
export interface StatusFacts {
  readonly hostIP: string;
  readonly podIP: string | undefined;
  /** The scheme of container ids: `runc`. */
  readonly runtimeName: string;
  /** The image and its id, by the runtime's container id or the container's name. */
  readonly images: ReadonlyMap<string, { readonly image: string; readonly imageId: string }>;
  /** By the wall clock, for what is shown. */
  readonly nowMs: number;
  /** By the monotonic clock, for what is waited for. */
  readonly monotonicMs: number;
}

type Phase = NonNullable<PodStatus["phase"]>;

/**
 * A pod's status, computed from facts every time; `previous` gives only what must not change without cause: a final phase,
 * the start time, the moments of transition, and conditions that others set.
 */
export function podStatus(pod: Pod, seen: PodSeen, previous: PodStatus, facts: StatusFacts): PodStatus {
  const state = podState(pod, seen);
  const isEnding = state !== "wanted";
  const containers = podContainers(pod.spec, ["application"]).map(({ container }) =>
    containerStatus(pod, container, seen, previous, facts, isEnding),
  );
  const phase = podPhase(pod, containers, previous.phase, state);
  const hasSandbox = seen.sandboxes.at(-1)?.ready === true && seen.networkReady && !seen.sandboxes.at(-1)?.isStopped;
  const podIP = facts.podIP ?? previous.podIP;
  const startTime = previous.startTime ?? timestamp(facts.nowMs);
  const qos = previous.qosClass ?? qosClass(pod);
  return {
    ...(previous.reason === undefined ? {} : { reason: previous.reason }),
    ...(previous.message === undefined ? {} : { message: previous.message }),
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    phase,
    conditions: conditions(pod, containers, phase, hasSandbox, previous.conditions ?? [], facts.nowMs),
    hostIP: facts.hostIP,
    hostIPs: [{ ip: facts.hostIP }],
    ...(podIP === undefined ? {} : { podIP, podIPs: [{ ip: podIP }] }),
    startTime,
    containerStatuses: containers.toSorted((left, right) => (left.name < right.name ? -1 : 1)), // upstream's order: it is the same for every client
    qosClass: qos,
  };
}

/** Upstream's getPhase; a final phase stays. */
function podPhase(pod: Pod, statuses: readonly ContainerStatus[], previous: Phase | undefined, state: string): Phase {
  if (previous === "Succeeded" || previous === "Failed") return previous;
  const running = statuses.filter((status) => status.state?.running !== undefined).length;
  const waiting = statuses.filter((status) => status.state?.waiting !== undefined && status.lastState?.terminated === undefined).length;
  const ends = statuses.flatMap(
    ({ state: now, lastState }) => now?.terminated ?? (now?.waiting === undefined ? [] : (lastState?.terminated ?? [])),
  );
  const succeeded = ends.every(({ exitCode }) => exitCode === 0);
  if (state === "finished") return succeeded ? "Succeeded" : "Failed";
  // What is being deleted and runs no more comes to a final phase, even if a container never ran.
  if (state === "terminated" && running === 0) return succeeded && waiting === 0 && ends.length > 0 ? "Succeeded" : "Failed";
  if (waiting > 0) return "Pending";
  if (running > 0) return "Running";
  if (ends.length === 0) return "Pending";
  return "Running"; // all ended, and some will start again
}

function containerStatus(
  pod: Pod,
  container: Container,
  seen: PodSeen,
  previous: PodStatus,
  facts: StatusFacts,
  isEnding: boolean,
): ContainerStatus {
  const last = newest(seen, container.name);
  const before = seen.containers.findLast(({ name, attempt }) => name === container.name && last !== undefined && attempt < last.attempt);
  const known = previous.containerStatuses?.find(({ name }) => name === container.name);
  const state = containerState(pod, container, last, seen, facts, isEnding);
  const lastEnded = state.terminated === undefined && last?.state.kind === "ended" ? last : before;
  const lastState = lastEnded?.state.kind === "ended" ? { terminated: terminated(lastEnded, lastEnded.state, facts) } : {};
  const image = facts.images.get(last?.id ?? "") ?? facts.images.get(container.name);
  const isUp = state.running !== undefined;
  return {
    name: container.name,
    state,
    lastState,
    ready: isUp,
    restartCount: Math.max(last?.attempt ?? 0, known?.restartCount ?? 0),
    image: image?.image ?? known?.image ?? container.image ?? "",
    imageID: image?.imageId ?? known?.imageID ?? "",
    ...(last?.id === undefined ? {} : { containerID: `${facts.runtimeName}://${last.id}` }),
    started: isUp,
    ...(last === undefined ? {} : givenResources(container)),
    ...mountStatuses(container),
  };
}

/** What a container that was made was given: a running one's resources do not change. */
function givenResources({ resources = {} }: Container): Partial<ContainerStatus> {
  const { requests = {} } = resources;
  return { resources, ...(Object.keys(requests).length === 0 ? {} : { allocatedResources: requests }) };
}

function mountStatuses({ volumeMounts = [] }: Container): Partial<ContainerStatus> {
  if (volumeMounts.length === 0) return {};
  return {
    volumeMounts: volumeMounts.map(({ name, mountPath, readOnly = false }) => ({
      name,
      mountPath,
      ...(readOnly ? { readOnly, recursiveReadOnly: "Disabled" } : {}),
    })),
  };
}

function containerState(
  pod: Pod,
  container: Container,
  last: ContainerSeen | undefined,
  seen: PodSeen,
  facts: StatusFacts,
  isEnding: boolean,
): ContainerState {
  const failure = seen.memories.get(container.name)?.failure;
  const waiting = {
    waiting: { reason: failure?.reason ?? "ContainerCreating", ...(failure === undefined ? {} : { message: failure.message }) },
  };
  if (last === undefined || last.state.kind === "created") {
    if (podState(pod, seen) === "terminated") return { terminated: neverRan };
    return waiting;
  }
  if (last.state.kind === "running") return { running: { startedAt: timestamp(last.state.startedAtMs) } };
  if (isEnding || !wantsRestart(pod, last, seen)) return { terminated: terminated(last, last.state, facts) };
  if (failure !== undefined) return waiting;
  const backoff = currentBackoff(last, seen);
  if (backoff !== undefined && facts.monotonicMs < restartAtMs(last.state, backoff)) {
    const message = `back-off ${goDuration(backoff.delayMs)} restarting failed container=${container.name} pod=${podFullName(pod)}`;
    return { waiting: { reason: "CrashLoopBackOff", message } };
  }
  if (last.state.reason === "StartError") return { waiting: { reason: "RunContainerError", message: last.state.message ?? "" } };
  if (last.state.reason === "ContainerStatusUnknown") return { waiting: { reason: "ContainerCreating" } };
  return { terminated: terminated(last, last.state, facts) };
}

const neverRan = {
  exitCode: 137,
  reason: "ContainerStatusUnknown",
  message: "The container could not be located when the pod was terminated",
};

function terminated(container: ContainerSeen, ended: Ended, facts: StatusFacts): NonNullable<ContainerState["terminated"]> {
  const { startedAtMs, finishedAtMs, message } = ended;
  return {
    exitCode: ended.exitCode,
    reason: ended.reason,
    ...(message === undefined || message === "" ? {} : { message }),
    ...(startedAtMs === undefined ? {} : { startedAt: timestamp(startedAtMs) }),
    finishedAt: timestamp(finishedAtMs),
    ...(container.id === undefined ? {} : { containerID: `${facts.runtimeName}://${container.id}` }),
  };
}

const OWN_CONDITIONS = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

function conditions(
  pod: Pod,
  statuses: readonly ContainerStatus[],
  phase: Phase,
  hasSandbox: boolean,
  previous: readonly PodCondition[],
  nowMs: number,
): PodCondition[] {
  const isFinal = phase === "Succeeded" || phase === "Failed";
  const unready = statuses.filter(({ ready }) => !ready).map(({ name }) => name);
  const why = { reason: "ContainersNotReady", message: `containers with unready status: [${unready.join(" ")}]` };
  const ready: Verdict = isFinal
    ? { status: false, reason: phase === "Succeeded" ? "PodCompleted" : "PodFailed" }
    : unready.length > 0
      ? { status: false, ...why }
      : { status: true };
  const verdicts: [string, Verdict][] = [
    ["PodReadyToStartContainers", { status: hasSandbox }],
    ["Initialized", { status: true, ...(phase === "Succeeded" ? { reason: "PodCompleted" } : {}) }],
    ["Ready", readinessGates(pod, ready, previous)],
    ["ContainersReady", ready],
    ["PodScheduled", { status: true }],
  ];
  const own = verdicts.map(([type, verdict]) => condition(type, verdict, pod.metadata.generation, previous, nowMs));
  return [...own, ...previous.filter(({ type }) => !OWN_CONDITIONS.includes(type))];
}

interface Verdict {
  readonly status: boolean;
  readonly reason?: string;
  readonly message?: string;
}

function readinessGates(pod: Pod, ready: Verdict, previous: readonly PodCondition[]): Verdict {
  if (!ready.status) return ready;
  const isTrue = (gate: string): boolean => previous.some(({ type, status }) => type === gate && status === "True");
  const closed = (pod.spec?.readinessGates ?? []).map(({ conditionType }) => conditionType).filter((gate) => !isTrue(gate));
  if (closed.length === 0) return ready;
  const messages = closed.map((gate) => `corresponding condition of pod readiness gate "${gate}" does not exist.`);
  return { status: false, reason: "ReadinessGatesNotReady", message: messages.join(", ") };
}

function condition(
  type: string,
  verdict: Verdict,
  generation: number | undefined,
  previous: readonly PodCondition[],
  nowMs: number,
): PodCondition {
  const status = verdict.status ? "True" : "False";
  const known = previous.find((other) => other.type === type);
  const since = known?.status === status ? known.lastTransitionTime : undefined;
  return {
    type,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    status,
    ...(verdict.reason === undefined ? {} : { reason: verdict.reason }),
    ...(verdict.message === undefined ? {} : { message: verdict.message }),
    lastTransitionTime: since ?? timestamp(nowMs),
  };
}

/** `name_namespace(uid)`, as the kubelet's messages name a pod. */
export function podFullName(pod: Pod): string {
  const { name, namespace, uid } = pod.metadata;
  return `${name}_${namespace}(${uid})`;
}

/** A duration as Go prints it, cut to milliseconds: `250ms`, `1.5s`, `1m20s`, `5m0s`. */
export function goDuration(ms: number): string {
  const whole = Math.max(0, Math.trunc(ms));
  if (whole > 0 && whole < 1_000) return `${whole}ms`;
  const [minutes, seconds] = [Math.floor(whole / 60_000), (whole % 60_000) / 1_000];
  if (minutes === 0) return `${seconds}s`;
  return minutes < 60 ? `${minutes}m${seconds}s` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}s`;
}
