import { type Container, type Pod, podContainers } from "@peapod/api";
import type { Action, Grace } from "./actions.ts";
import { type ContainerSeen, newest, type PodSeen, type SandboxSeen } from "./pod-seen.ts";
import { currentBackoff, isOutdated, nextBackoff, restartAtMs, wantsRestart } from "./restarts.ts";

/*
 * The states of a pod on its node, and what may follow what:
 *
 *   wanted       the API has it and it may run: containers are started and restarted
 *   finished     its phase is Succeeded or Failed for good: nothing starts again; dead containers stay, for their logs
 *   terminating  its deletion was asked for, or the API has it no more: what runs is stopped, nothing starts
 *   terminated   terminating, and nothing of it runs: everything it has on the machine is removed
 *   gone         nothing is left of it, and its object is deleted; a uid never comes back
 *
 * wanted -> finished -> terminating -> terminated -> gone: any may be skipped, none goes back.
 */
export type PodState = "wanted" | "finished" | "terminating" | "terminated" | "gone";

/** The shortest time a container gets between SIGTERM and SIGKILL, as upstream's minimumGracePeriodInSeconds. */
const MINIMUM_GRACE_SECONDS = 2;
const MINIMUM_GRACE: Grace = { wholeSeconds: MINIMUM_GRACE_SECONDS, leftSeconds: MINIMUM_GRACE_SECONDS };
/** The newest, and the one before it for `logs --previous`. */
const KEPT_CONTAINERS = 2;

/** The next actions that bring `seen` closer to `wanted` (undefined: the API has it no more). Pure: time, by the monotonic clock, is an argument. */
export function planPod(wanted: Pod | undefined, seen: PodSeen, nowMs: number): Action[] {
  const state = podState(wanted, seen);
  switch (state) {
    case "gone":
      return [];
    case "terminated":
      return notBefore(seen, nowMs, () => (seen.isTornDown ? [{ kind: "delete-object" }] : [{ kind: "tear-down" }]));
    case "terminating":
      return planStop(wanted, seen, nowMs);
    case "finished":
      return planFinished(wanted, seen, nowMs);
    case "wanted":
      return wanted === undefined ? [] : notBefore(seen, nowMs, () => planRunning(wanted, seen, nowMs));
  }
}

/** Which of the states above a pod is in. */
export function podState(wanted: Pod | undefined, seen: PodSeen): PodState {
  if (wanted === undefined || wanted.metadata.deletionTimestamp !== undefined) {
    if (seen.isTornDown && wanted === undefined) return "gone";
    return seen.containers.some(isRunning) ? "terminating" : "terminated";
  }
  return isFinished(wanted, seen) ? "finished" : "wanted";
}

/** Whether a pod has come to its end: it has a final phase, or all of its containers ended and none is to be restarted. */
export function isFinished(pod: Pod, seen: PodSeen): boolean {
  if (seen.phase === "Succeeded" || seen.phase === "Failed") return true;
  return containersOf(pod).every((container) => {
    const last = newest(seen, container.name);
    return last?.state.kind === "ended" && !wantsRestart(pod, last, seen);
  });
}

function planRunning(pod: Pod, seen: PodSeen, nowMs: number): Action[] {
  const sandbox = seen.sandboxes.at(-1);
  const tidy = planTidying(seen);
  if (typeof seen.volumes === "object")
    return [...tidy, ...seen.volumes.problems.map((problem): Action => ({ kind: "report-volumes", problem }))];
  if (sandbox?.ready !== true) return [...tidy, ...planNewSandbox(pod, seen, nowMs)];
  const connect: Action[] = seen.networkReady ? [] : [{ kind: "attach-network" }];
  const volumes: Action[] = seen.volumes === "ready" ? [] : [{ kind: "set-up-volumes" }];
  const containers = containersOf(pod).flatMap((container) => planContainer(pod, container, seen, sandbox, nowMs));
  const older = seen.sandboxes
    .slice(0, -1)
    .filter(({ isStopped }) => !isStopped)
    .map(({ id }): Action => ({ kind: "stop-sandbox", id }));
  return [...tidy, ...older, ...connect, ...volumes, ...containers];
}

/** The sandbox is missing or dead: what ran in it ends, and everything starts anew in a new one. */
function planNewSandbox(pod: Pod, seen: PodSeen, nowMs: number): Action[] {
  const running = seen.containers.filter(isRunning);
  if (running.length > 0)
    return running.flatMap((container) => kill(container, graceOf(pod, seen, nowMs), `Stopping container ${container.name}`));
  const unstopped = seen.sandboxes.filter((sandbox) => !sandbox.isStopped);
  if (unstopped.length > 0) return unstopped.map(({ id }) => ({ kind: "stop-sandbox", id }));
  if (seen.containers.some(({ state }) => state.kind === "created")) return []; // planTidying removes them first
  const starts = containersOf(pod).flatMap((container) => planStart(pod, container, seen, nowMs));
  if (!starts.some(({ kind }) => kind === "start-container")) return starts;
  return [
    { kind: "create-sandbox", attempt: (seen.sandboxes.at(-1)?.attempt ?? -1) + 1 },
    { kind: "attach-network" },
    { kind: "set-up-volumes" },
    ...starts,
  ];
}

function planContainer(pod: Pod, container: Container, seen: PodSeen, sandbox: SandboxSeen, nowMs: number): Action[] {
  const last = newest(seen, container.name);
  const strays = seen.containers.filter((one) => one.name === container.name && one !== last && isRunning(one));
  // An older start that still runs: never two of one container.
  if (strays.length > 0) return strays.flatMap((stray) => kill(stray, MINIMUM_GRACE, `Stopping container ${container.name}`));
  if (last === undefined || last.state.kind === "ended") return planStart(pod, container, seen, nowMs);
  if (last.state.kind === "created") return []; // left over from a crash: planTidying removes it first
  if (last.sandboxId !== sandbox.id) return kill(last, graceOf(pod, seen, nowMs), `Stopping container ${container.name}`);
  if (!isOutdated(last, seen)) return [];
  return kill(last, graceOf(pod, seen, nowMs), `Container ${container.name} definition changed, will be restarted`);
}

/** Starts a container that does not run, waits for the time it may start, or does nothing where it stays ended. */
function planStart(pod: Pod, container: Container, seen: PodSeen, nowMs: number): Action[] {
  const memory = seen.memories.get(container.name);
  const last = newest(seen, container.name);
  const ended = last?.state.kind === "ended" ? last.state : undefined;
  const backoff = currentBackoff(last, seen);
  if (last !== undefined && ended !== undefined && !wantsRestart(pod, last, seen)) return [];
  if (memory?.isPulling === true) return [];
  const earliestMs = Math.max(memory?.failure?.retryAtMs ?? 0, ended === undefined ? 0 : restartAtMs(ended, backoff));
  if (nowMs < earliestMs) return [{ kind: "wait", untilMs: earliestMs }];
  const attempt = last === undefined ? 0 : last.attempt + 1;
  return [
    {
      kind: "start-container",
      name: container.name,
      attempt,
      ...(ended === undefined ? {} : { backoff: nextBackoff(ended, backoff, nowMs) }),
    },
  ];
}

/** Removes what a crash left half made, dead containers but the last ones, and sandboxes that nothing is in any more. */
function planTidying(seen: PodSeen): Action[] {
  const names = new Set(seen.containers.map(({ name }) => name));
  const unwanted = [...names].flatMap((name) => {
    const all = seen.containers.filter((container) => container.name === name);
    const old = all.slice(0, -KEPT_CONTAINERS).filter(({ state }) => state.kind === "ended");
    return [...all.filter(({ state }) => state.kind === "created"), ...old];
  });
  const containers = unwanted.flatMap((container): Action[] =>
    container.id === undefined ? [] : [{ kind: "remove-container", id: container.id, name: container.name, attempt: container.attempt }],
  );
  const used = new Set(seen.containers.map(({ sandboxId }) => sandboxId));
  const empty = seen.sandboxes.slice(0, -1).filter(({ id, isStopped }) => isStopped && !used.has(id));
  return [...containers, ...empty.map(({ id }): Action => ({ kind: "remove-sandbox", id }))];
}

function planStop(wanted: Pod | undefined, seen: PodSeen, nowMs: number): Action[] {
  // What runs of a pod that the API no longer has was deleted by force: it gets the shortest grace, whatever it had before.
  const grace = wanted === undefined ? MINIMUM_GRACE : graceOf(wanted, seen, nowMs);
  const kills = seen.containers.filter(isRunning).flatMap((container) => kill(container, grace, `Stopping container ${container.name}`));
  return isPulling(seen) ? [{ kind: "cancel-pulls" }, ...kills] : kills;
}

/** A finished pod keeps its dead containers, and gives back everything else. */
function planFinished(wanted: Pod | undefined, seen: PodSeen, nowMs: number): Action[] {
  const running = seen.containers.filter(isRunning);
  if (running.length > 0 || isPulling(seen)) return planStop(wanted, seen, nowMs);
  return notBefore(seen, nowMs, () => {
    const stops = seen.sandboxes.filter(({ isStopped }) => !isStopped).map(({ id }): Action => ({ kind: "stop-sandbox", id }));
    const release: Action[] = seen.volumes === "missing" || typeof seen.volumes === "object" ? [] : [{ kind: "release-volumes" }];
    return [...planTidying(seen), ...stops, ...release];
  });
}

/** Kills a container unless that is under way; with a shorter grace, again. */
function kill(container: ContainerSeen, grace: Grace, message: string): Action[] {
  if (container.id === undefined) return [];
  if (container.killing !== undefined && container.killing.graceSeconds <= grace.wholeSeconds) return [];
  return [{ kind: "kill-container", id: container.id, name: container.name, grace, message }];
}

/** What a container of a pod gets: what is left of a deletion's grace, else the specification's. */
function graceOf(pod: Pod, { deletedAtMs }: PodSeen, nowMs: number): Grace {
  const { deletionGracePeriodSeconds, deletionTimestamp } = pod.metadata;
  const whole = deletionGracePeriodSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? 30;
  const left = deletionTimestamp === undefined || deletedAtMs === undefined ? whole : whole - Math.floor((nowMs - deletedAtMs) / 1_000);
  const wholeSeconds = Math.max(MINIMUM_GRACE_SECONDS, whole);
  return { wholeSeconds, leftSeconds: Math.min(wholeSeconds, Math.max(MINIMUM_GRACE_SECONDS, left)) };
}

function notBefore(seen: PodSeen, nowMs: number, plan: () => Action[]): Action[] {
  return nowMs < seen.retryAtMs ? [{ kind: "wait", untilMs: seen.retryAtMs }] : plan();
}

function isRunning({ state }: ContainerSeen): boolean {
  return state.kind === "running";
}

function isPulling(seen: PodSeen): boolean {
  return [...seen.memories.values()].some((memory) => memory.isPulling);
}

function containersOf(pod: Pod): readonly Container[] {
  return podContainers(pod.spec, ["application"]).map(({ container }) => container);
}
