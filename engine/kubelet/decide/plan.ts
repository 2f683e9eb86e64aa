import type { Container, Pod } from "@peapod/api";

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

/** What is known of a pod on this machine. Times are by the monotonic clock, but for those that are only shown. */
export interface PodSeen {
  /** Oldest first. */
  readonly sandboxes: readonly SandboxSeen[];
  /** Whether the newest sandbox is connected. */
  readonly networkReady: boolean;
  /** `stale`: there, but what they show has changed. */
  readonly volumes: "missing" | "stale" | "ready" | { readonly problems: readonly string[] };
  /** Every container of the pod, those that ended too, by attempt, oldest first. */
  readonly containers: readonly ContainerSeen[];
  /** What is remembered of each container by name, beside what the machine shows. */
  readonly memories: ReadonlyMap<string, ContainerMemory>;
  /** After trouble with the pod as a whole: not before this time. */
  readonly retryAtMs: number;
  /** When its deletion was asked for. */
  readonly deletedAtMs: number | undefined;
  /** Its last known phase. */
  readonly phase: string | undefined;
  /** Whether everything of it has been removed. */
  readonly isTornDown: boolean;
}

export interface SandboxSeen {
  readonly id: string;
  readonly attempt: number;
  readonly ready: boolean;
  /** Whether it has been stopped and disconnected, and not only found dead. */
  readonly isStopped: boolean;
}

export interface ContainerSeen {
  /** Undefined where the runtime has it no more, or never finished making it. */
  readonly id: string | undefined;
  readonly name: string;
  readonly attempt: number;
  readonly specHash: string;
  readonly sandboxId: string | undefined;
  readonly state: { readonly kind: "created" } | { readonly kind: "running"; readonly startedAtMs: number } | Ended;
  /** Set while it is being stopped: the whole grace that it was given. */
  readonly killing?: { readonly graceSeconds: number };
}

/** A container that ended. */
export interface Ended {
  readonly kind: "ended";
  readonly exitCode: number;
  readonly reason: "Completed" | "Error" | "OOMKilled" | "ContainerStatusUnknown" | "StartError";
  readonly message?: string;
  /** By the wall clock, to be shown. */
  readonly startedAtMs?: number;
  /** By the wall clock, to be shown. */
  readonly finishedAtMs: number;
  /** By the monotonic clock: what waits are counted from. */
  readonly endedAtMs: number;
}

export interface ContainerMemory {
  readonly backoff?: RestartBackoff;
  /** Its image is being pulled. */
  readonly isPulling: boolean;
  /** Why it could not be started, and when to try again. */
  readonly failure?: { readonly reason: string; readonly message: string; readonly retryAtMs: number };
  /** What of its specification, changed, wants a new container. */
  readonly specHash: string;
}

/** How long to wait after the next end, and when the last restart was. */
export interface RestartBackoff {
  readonly delayMs: number;
  readonly restartedAtMs: number;
}

/** How long a container gets between SIGTERM and SIGKILL: as a whole, and what is left of it. */
export interface Grace {
  readonly wholeSeconds: number;
  readonly leftSeconds: number;
}

/** What to do next. Actions of one plan do not wait for each other, but where a container needs its pod's sandbox. */
export type Action =
  | { readonly kind: "create-sandbox"; readonly attempt: number }
  | { readonly kind: "attach-network" }
  | { readonly kind: "set-up-volumes" }
  | { readonly kind: "start-container"; readonly name: string; readonly attempt: number; readonly backoff?: RestartBackoff }
  | { readonly kind: "kill-container"; readonly id: string; readonly name: string; readonly grace: Grace; readonly message: string }
  | { readonly kind: "remove-container"; readonly id: string; readonly name: string; readonly attempt: number }
  | { readonly kind: "stop-sandbox"; readonly id: string }
  | { readonly kind: "remove-sandbox"; readonly id: string }
  | { readonly kind: "report-volumes"; readonly problem: string }
  | { readonly kind: "release-volumes" }
  | { readonly kind: "cancel-pulls" }
  | { readonly kind: "tear-down" }
  | { readonly kind: "delete-object" }
  | { readonly kind: "wait"; readonly untilMs: number };

/** The shortest time a container gets between SIGTERM and SIGKILL, as upstream's minimumGracePeriodInSeconds. */
const MINIMUM_GRACE_SECONDS = 2;
const MINIMUM_GRACE: Grace = { wholeSeconds: MINIMUM_GRACE_SECONDS, leftSeconds: MINIMUM_GRACE_SECONDS };
const BACKOFF_INITIAL_MS = 10_000;
const BACKOFF_MAXIMUM_MS = 300_000;
/** A container that ran this long starts from the shortest back-off again. */
const BACKOFF_RESET_MS = 600_000;
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

/** Whether a container that ended is to be started again: the pod's restart policy wants it, or it ended because its definition changed. */
export function wantsRestart(pod: Pod, last: ContainerSeen, seen: PodSeen): boolean {
  if (last.state.kind !== "ended") return false;
  if (isOutdated(last, seen)) return true;
  const policy = pod.spec?.restartPolicy ?? "Always";
  return policy === "Always" || (policy === "OnFailure" && last.state.exitCode !== 0);
}

/** When a container that ended may be started again. */
export function restartAtMs(ended: Ended, backoff: RestartBackoff | undefined): number {
  if (backoff === undefined || isWornOut(ended, backoff)) return ended.endedAtMs;
  return ended.endedAtMs + backoff.delayMs;
}

/** The back-off that holds for the next start of a container. A changed definition starts without one. */
export function currentBackoff(last: ContainerSeen | undefined, seen: PodSeen): RestartBackoff | undefined {
  return last === undefined || isOutdated(last, seen) ? undefined : seen.memories.get(last.name)?.backoff;
}

/** The newest container of a name. */
export function newest(seen: PodSeen, name: string): ContainerSeen | undefined {
  return seen.containers.findLast((container) => container.name === name);
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

function nextBackoff(ended: Ended, backoff: RestartBackoff | undefined, nowMs: number): RestartBackoff {
  const isFirst = backoff === undefined || isWornOut(ended, backoff);
  return { delayMs: isFirst ? BACKOFF_INITIAL_MS : Math.min(backoff.delayMs * 2, BACKOFF_MAXIMUM_MS), restartedAtMs: nowMs };
}

function isWornOut(ended: Ended, backoff: RestartBackoff): boolean {
  return ended.endedAtMs - backoff.restartedAtMs > BACKOFF_RESET_MS;
}

function isOutdated(container: ContainerSeen, seen: PodSeen): boolean {
  const memory = seen.memories.get(container.name);
  return memory !== undefined && memory.specHash !== container.specHash;
}

function isRunning({ state }: ContainerSeen): boolean {
  return state.kind === "running";
}

function isPulling(seen: PodSeen): boolean {
  return [...seen.memories.values()].some((memory) => memory.isPulling);
}

function containersOf(pod: Pod): readonly Container[] {
  return pod.spec?.containers ?? [];
}
