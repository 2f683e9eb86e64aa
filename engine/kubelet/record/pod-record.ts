import type { Pod, PodStatus } from "@peapod/api";
import { type Clock, monotonicOf } from "@peapod/kit";
import type { Image } from "../../images/images.ts";
import type { PodAddress } from "../../network/network.ts";
import type { Container, PodSandbox } from "../../runtime/runtime.ts";
import type { ContainerFailure, PullBackoff } from "../decide/image-access.ts";
import { backoffAfter } from "../decide/restarts.ts";
import { containerSpecHash } from "./spec-hash.ts";
import { type ContainerMemory, type ContainerSeen, type Ended, newest, type PodSeen, type RestartBackoff } from "../decide/pod-seen.ts";

/** What tells the time: when something happened, and how long that is ago. */
type Times = Pick<Clock, "nowMs" | "monotonicMs">;

/** What is remembered of one container by name. */
export interface ContainerNotes {
  backoff?: RestartBackoff;
  failure?: ContainerFailure;
  /** How often it failed to be made, one after the other. */
  failures: number;
  /** The pull under way. */
  pull?: AbortController;
  /** A pull's result, for the next start alone. */
  pulled?: Image;
  pullBackoff?: PullBackoff;
}

/** A sandbox and what was done with it. */
export interface SandboxNotes {
  readonly sandbox: PodSandbox;
  isStopped: boolean;
  /** It could not be connected: as good as dead. */
  isBroken: boolean;
}

/** Where the files are that each container of a pod mounts. */
export interface PodFiles {
  readonly hosts: string;
  readonly resolver: string;
  readonly hostname: string;
}

/** Everything the kubelet holds in memory of one pod; its times are by the monotonic clock. Only the pod's own turn, and what it started, change it. */
export class PodRecord {
  readonly uid: string;
  /** "" while only something that knows no names tells of the pod, such as its volumes. */
  namespace: string;
  name: string;
  /** The last known object, kept when the API has it no more. */
  pod: Pod | undefined;
  isInApi = false;
  readonly sandboxes = new Map<string, SandboxNotes>();
  /** As the runtime last showed them. */
  readonly containers = new Map<string, Container>();
  /** When those that ended did so, by id. */
  readonly #ends = new Map<string, number>();
  /** Containers that ended and that the runtime does not know, by name. */
  readonly lostEnds = new Map<string, ContainerSeen>();
  readonly killing = new Map<string, { readonly graceSeconds: number }>();
  /** Containers to look at again. */
  readonly stale = new Set<string>();
  /** Sandboxes to look at again. */
  readonly staleSandboxes = new Set<string>();
  readonly notes = new Map<string, ContainerNotes>();
  address: PodAddress | undefined;
  /** The sandbox that is connected. */
  attachedSandboxId: string | undefined;
  /** The volumes that were set up, by name: the digest of what each shows, and where it is. Empty at first where an earlier engine did. */
  volumes: ReadonlyMap<string, { readonly digest: string; readonly path: string }> | undefined;
  /** What is wrong with volumes that go on as they are, as it was told last. */
  volumeProblems: ReadonlySet<string> = new Set();
  /** The paths of /etc/hosts and its like, for the containers of the current sandbox. */
  podFiles: Promise<PodFiles> | undefined;
  /** The end of the queue of calls for its volumes: they come one after the other. */
  volumeCalls: Promise<unknown> = Promise.resolve();
  retryAtMs = 0;
  /** Troubles of the pod as a whole, one after the other. */
  troubles = 0;
  /** When its deletion was asked for. */
  deletedAtMs: number | undefined;
  readonly #tornDown = new AbortController();
  isObjectDeleted = false;
  /** Of what state the object was kept last. */
  keptState: string | undefined;
  readonly #watchers = new Set<() => void>();
  /** What was last written, or read before anything was. */
  status: PodStatus = {};

  constructor(pod: { uid: string; namespace: string; name: string }) {
    this.uid = pod.uid;
    this.namespace = pod.namespace;
    this.name = pod.name;
  }

  /** The object while the API has it: what is wanted. */
  get wanted(): Pod | undefined {
    return this.isInApi ? this.pod : undefined;
  }

  /** Takes the object as the API has it now. What is remembered of an image that is no longer wanted goes: its pull, failures and back-offs. */
  takeObject(pod: Pod, clock: Times): void {
    if (pod.metadata.deletionTimestamp !== undefined && this.deletedAtMs === undefined) {
      const isNew = this.pod !== undefined && this.pod.metadata.deletionTimestamp === undefined;
      this.deletedAtMs = isNew ? clock.monotonicMs() : deletionAtMs(pod, clock);
    }
    for (const { name, image } of pod.spec?.containers ?? []) {
      const before = this.pod?.spec?.containers.find((other) => other.name === name);
      if (before === undefined || before.image === image) continue;
      this.notes.get(name)?.pull?.abort();
      this.notes.delete(name);
    }
    this.pod = pod;
  }

  /** Whether any of its containers runs. */
  get isRunning(): boolean {
    return [...this.containers.values()].some(({ state }) => state.kind === "running");
  }

  notesOf(name: string): ContainerNotes {
    let notes = this.notes.get(name);
    if (notes === undefined) this.notes.set(name, (notes = { failures: 0 }));
    return notes;
  }

  /** Nothing of it is on the machine any more. */
  get isTornDown(): boolean {
    return this.#tornDown.signal.aborted;
  }

  /** Aborted when nothing of it is on the machine any more, so that whoever reads its files lets go of them. */
  get tornDown(): AbortSignal {
    return this.#tornDown.signal;
  }

  markTornDown(): void {
    this.#tornDown.abort();
  }

  /** Tells those who wait for something of the pod that it may have changed. */
  tellWatchers(): void {
    for (const look of this.#watchers) look();
  }

  /** Resolves when a start of a container does not run any more, or the signal is aborted. */
  async untilEnded(name: string, attempt: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      const runs = [...this.containers.values()].some(
        (container) => container.name === name && container.attempt === attempt && container.state.kind === "running",
      );
      if (!runs || this.isTornDown || signal.aborted) resolve();
    };
    this.#watchers.add(look);
    signal.addEventListener("abort", look, { once: true });
    try {
      look();
      await promise;
    } finally {
      this.#watchers.delete(look);
      signal.removeEventListener("abort", look);
    }
  }

  /** What may have failed for want of something has it now: the next turn tries again at once. */
  retrySoon(): void {
    this.retryAtMs = 0;
    this.troubles = 0;
    for (const notes of this.notes.values()) {
      if (notes.failure?.reason === "CreateContainerConfigError") notes.failure = { ...notes.failure, retryAtMs: 0 };
    }
  }

  /** The newest sandbox, if it is of use. */
  get liveSandbox(): PodSandbox | undefined {
    const notes = [...this.sandboxes.values()].sort((left, right) => left.sandbox.attempt - right.sandbox.attempt).at(-1);
    return notes !== undefined && isLive(notes) ? notes.sandbox : undefined;
  }

  /** Takes a container as an earlier engine left it. */
  adoptContainer(container: Container, clock: Times): void {
    this.containers.set(container.id, container);
    if ("finishedAtMs" in container.state) this.#ends.set(container.id, monotonicOf(clock, container.state.finishedAtMs));
  }

  /** Takes a container as the runtime shows it; where it has ended, it did so just now. */
  noteContainer(container: Container, clock: Times): void {
    this.containers.set(container.id, container);
    if ("finishedAtMs" in container.state && !this.#ends.has(container.id)) this.#ends.set(container.id, clock.monotonicMs());
  }

  /** Nothing is left of a container. */
  dropContainer(id: string): void {
    this.containers.delete(id);
    this.#ends.delete(id);
  }

  /** The runtime knows a container no more: what ran ended, nobody knows how. */
  forget(id: string, clock: Times): void {
    const container = this.containers.get(id);
    const state = container === undefined ? undefined : this.#stateOf(container);
    this.dropContainer(id);
    this.killing.delete(id);
    if (container === undefined || state === undefined) return;
    if (state.kind === "running") this.recallEnd(container.name, container.attempt, unknownEnd(clock.nowMs(), clock.monotonicMs()));
    else if (state.kind === "ended") this.recallEnd(container.name, container.attempt, state);
  }

  /** Keeps the end of a container that the runtime is about to forget, or never knew. */
  recallEnd(name: string, attempt: number, ended: Ended): void {
    this.lostEnds.set(name, { id: undefined, name, attempt, specHash: this.#specHash(name), sandboxId: undefined, state: ended });
  }

  /** The facts that plan and status are made from. */
  seen(volumes: PodSeen["volumes"]): PodSeen {
    const sandboxes = [...this.sandboxes.values()].sort((left, right) => left.sandbox.attempt - right.sandbox.attempt);
    const known = [...this.containers.values()].map((container) => this.#containerSeen(container));
    const lost = [...this.lostEnds.values()].filter(
      (end) => !known.some(({ name, attempt }) => name === end.name && attempt === end.attempt),
    );
    return {
      sandboxes: sandboxes.map((notes) => ({
        id: notes.sandbox.id,
        attempt: notes.sandbox.attempt,
        ready: isLive(notes),
        isStopped: notes.isStopped,
      })),
      networkReady: this.attachedSandboxId !== undefined && this.attachedSandboxId === sandboxes.at(-1)?.sandbox.id,
      volumes,
      containers: [...known, ...lost].sort((left, right) => left.attempt - right.attempt),
      memories: new Map((this.pod?.spec?.containers ?? []).map(({ name }) => [name, this.#memory(name)])),
      retryAtMs: this.retryAtMs,
      deletedAtMs: this.deletedAtMs,
      phase: this.status.phase,
      isTornDown: this.isTornDown,
    };
  }

  /**
   * What the API's status says of containers that the machine does not show (a reboot, a lost state directory): one that ran ended
   * with an unknown code. So restart counts and ends survive whatever happens to the machine.
   */
  recallFromStatus(status: PodStatus, clock: Times): void {
    const nowMs = clock.nowMs();
    const seen = this.seen("missing");
    for (const { name, restartCount, state = {}, lastState = {} } of status.containerStatuses ?? []) {
      const last = newest(seen, name);
      // A crash loop goes on where it was.
      if (state.waiting?.reason === "CrashLoopBackOff" && restartCount > 0) {
        const restartedAtMs = monotonicOf(clock, Date.parse(lastState.terminated?.startedAt ?? "") || nowMs);
        this.notesOf(name).backoff = backoffAfter(restartCount, restartedAtMs);
      }
      if (last !== undefined && last.attempt >= restartCount) continue;
      const end = state.terminated ?? (state.running === undefined ? lastState.terminated : undefined);
      if (end !== undefined) this.recallEnd(name, restartCount, endOf(end, clock));
      else if (state.running !== undefined) {
        const startedAtMs = Date.parse(state.running.startedAt ?? "");
        this.recallEnd(name, restartCount, {
          ...unknownEnd(nowMs, clock.monotonicMs()),
          ...(Number.isNaN(startedAtMs) ? {} : { startedAtMs }),
        });
      }
    }
  }

  #containerSeen(container: Container): ContainerSeen {
    const { id, name, attempt, specHash, sandboxId } = container;
    const killing = this.killing.get(id);
    return {
      id,
      name,
      attempt,
      specHash,
      sandboxId,
      state: this.#stateOf(container),
      ...(killing === undefined ? {} : { killing: { graceSeconds: killing.graceSeconds } }),
    };
  }

  #stateOf({ id, state }: Container): ContainerSeen["state"] {
    const endedAtMs = this.#ends.get(id) ?? 0;
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

  #memory(name: string): ContainerMemory {
    const { backoff, failure, pull } = this.notes.get(name) ?? {};
    return {
      specHash: this.#specHash(name),
      isPulling: pull !== undefined,
      ...(backoff === undefined ? {} : { backoff }),
      ...(failure === undefined ? {} : { failure }),
    };
  }

  #specHash(name: string): string {
    const container = this.pod?.spec?.containers.find((other) => other.name === name);
    return container === undefined ? "" : containerSpecHash(container);
  }
}

function isLive({ sandbox, isBroken, isStopped }: SandboxNotes): boolean {
  return sandbox.state === "ready" && !isBroken && !isStopped;
}

/** When the deletion of a pod that is found being deleted was asked for. Its timestamp has whole seconds, cut off: one more is still in time. */
function deletionAtMs({ metadata }: Pod, clock: Times): number {
  const { deletionTimestamp = "", deletionGracePeriodSeconds = 0 } = metadata;
  return monotonicOf(clock, Date.parse(deletionTimestamp) + 999 - deletionGracePeriodSeconds * 1_000);
}

function unknownEnd(finishedAtMs: number, endedAtMs: number): Ended {
  const message = "The container could not be located when the pod was last looked at. It used to be Running";
  return { kind: "ended", exitCode: 137, reason: "ContainerStatusUnknown", message, finishedAtMs, endedAtMs };
}

type Termination = NonNullable<NonNullable<NonNullable<PodStatus["containerStatuses"]>[number]["state"]>["terminated"]>;

function endOf(terminated: Termination, clock: Times): Ended {
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
