import { lastingRoles, type Pod, podContainers, type PodStatus } from "@peapod/api";
import { backoffMs, monotonicOf } from "@peapod/kit";
import { newest, type PodSeen } from "../decide/pod-seen.ts";
import { backoffAfter } from "../decide/restarts.ts";
import { ContainerNotes } from "./container-notes.ts";
import { Containers } from "./containers.ts";
import { deletionAtMs, endOf, type Times, unknownEnd } from "./ends.ts";
import { PodVolumes } from "./pod-volumes.ts";
import { Sandboxes } from "./sandboxes.ts";
import { containerSpecHash } from "./spec-hash.ts";

const TROUBLE_CURVE = { initialMs: 1_000, maximumMs: 60_000 };

/**
 * Everything the kubelet holds in memory of one pod; its times are by the monotonic clock. It changes only through methods, here and
 * in its parts, each named after what happened; only the pod's own turn, what that started, and the kubelet's watches call them.
 */
export class PodRecord {
  readonly uid: string;
  readonly sandboxes = new Sandboxes();
  readonly containers = new Containers((name) => this.#specHash(name));
  readonly volumes = new PodVolumes();
  readonly #notes = new Map<string, ContainerNotes>();
  #namespace: string;
  #name: string;
  #pod: Pod | undefined;
  #isInApi = false;
  #status: PodStatus = {};
  #staleContainers = new Set<string>();
  #staleSandboxes = new Set<string>();
  #retryAtMs = 0;
  /** Troubles of the pod as a whole, one after the other. */
  #troubles = 0;
  #deletedAtMs: number | undefined;
  readonly #deletion = new AbortController();
  readonly #tornDown = new AbortController();
  #isObjectDeleted = false;
  #keptState: string | undefined;
  #isNotKeptTold = false;
  readonly #watchers = new Set<() => void>();

  constructor(pod: { uid: string; namespace: string; name: string }) {
    this.uid = pod.uid;
    this.#namespace = pod.namespace;
    this.#name = pod.name;
  }

  /** "" while only something that knows no names tells of the pod, such as its volumes. */
  get namespace(): string {
    return this.#namespace;
  }

  get name(): string {
    return this.#name;
  }

  /** The last known object, kept when the API has it no more. */
  get pod(): Pod | undefined {
    return this.#pod;
  }

  get isInApi(): boolean {
    return this.#isInApi;
  }

  /** The object while the API has it: what is wanted. */
  get wanted(): Pod | undefined {
    return this.#isInApi ? this.#pod : undefined;
  }

  /** What was last written, or read before anything was. */
  get status(): PodStatus {
    return this.#status;
  }

  /** After trouble with the pod as a whole: not before this time. */
  get retryAtMs(): number {
    return this.#retryAtMs;
  }

  get isObjectDeleted(): boolean {
    return this.#isObjectDeleted;
  }

  /** Aborted when its deletion is first seen: what was begun while it was wanted goes no further. */
  get deletion(): AbortSignal {
    return this.#deletion.signal;
  }

  /** Nothing of it is on the machine any more. */
  get isTornDown(): boolean {
    return this.#tornDown.signal.aborted;
  }

  /** Aborted when nothing of it is on the machine any more, so that whoever reads its files lets go of them. */
  get tornDown(): AbortSignal {
    return this.#tornDown.signal;
  }

  /** The API shows the object so, or it showed it so last and has it no more. */
  heard(pod: Pod, isInApi: boolean, clock: Times): void {
    if (this.#pod === undefined && pod.status !== undefined) {
      this.#pod = pod;
      this.#status = pod.status;
      this.recallFromStatus(pod.status, clock);
    }
    const { namespace = "", name = "", deletionTimestamp } = pod.metadata;
    this.#namespace = namespace;
    this.#name = name;
    const before = this.#pod;
    // A removal does not wait out the trouble that a start had.
    if (!isInApi || (deletionTimestamp !== undefined && before?.metadata.deletionTimestamp === undefined)) this.#retryAtMs = 0;
    if (deletionTimestamp !== undefined && this.#deletedAtMs === undefined) {
      const isNew = before !== undefined && before.metadata.deletionTimestamp === undefined;
      this.#deletedAtMs = isNew ? clock.monotonicMs() : deletionAtMs(pod, clock);
    }
    this.#forgetOtherImages(before, pod);
    this.#pod = pod;
    this.#isInApi = isInApi;
    if (!isInApi || deletionTimestamp !== undefined) this.#deletion.abort();
  }

  /** A status is on its way to the API. */
  statusTold(status: PodStatus): void {
    this.#status = status;
  }

  /** It did not come there: unless another one is on its way, what was there before still is. */
  statusNotTaken(status: PodStatus, previous: PodStatus): void {
    if (this.#status === status) this.#status = previous;
  }

  /** The object is to be kept in this state; false: it is so already. */
  keptAs(state: string): boolean {
    const isNew = this.#keptState !== state;
    this.#keptState = state;
    return isNew;
  }

  /** The disk did not take it: it is tried again with the next turn. Gives whether that is the first time. */
  notKept(): boolean {
    const isFirst = !this.#isNotKeptTold;
    this.#isNotKeptTold = true;
    this.#keptState = undefined;
    return isFirst;
  }

  objectDeleted(): void {
    this.#isObjectDeleted = true;
  }

  /** The pod as a whole failed: its next try is put off, the longer the more often it did. */
  failed(clock: Times): void {
    this.#retryAtMs = clock.monotonicMs() + backoffMs(TROUBLE_CURVE, this.#troubles);
    this.#troubles += 1;
  }

  wentWell(): void {
    this.#troubles = 0;
  }

  /** What it names has changed: the next turn tries again at once. */
  referencesChanged(): void {
    this.#retryAtMs = 0;
    this.#troubles = 0;
    for (const notes of this.#notes.values()) notes.referencesChanged();
  }

  /** A container or sandbox may not be as it was seen last. */
  hinted(hint: { readonly containerId: string } | { readonly sandboxId: string }): void {
    if ("sandboxId" in hint) this.#staleSandboxes.add(hint.sandboxId);
    else this.#staleContainers.add(hint.containerId);
  }

  /** What is to be looked at again; it counts as looked at from here on. */
  lookBegins(): { readonly containers: ReadonlySet<string>; readonly sandboxes: ReadonlySet<string> } {
    const { live } = this.sandboxes;
    // A container may have ended because its sandbox did.
    if (this.#staleContainers.size > 0 && live !== undefined) this.#staleSandboxes.add(live.id);
    const look = { containers: this.#staleContainers, sandboxes: this.#staleSandboxes };
    this.#staleContainers = new Set();
    this.#staleSandboxes = new Set();
    return look;
  }

  /** What is remembered of a container of the specification. */
  notesOf(name: string): ContainerNotes {
    let notes = this.#notes.get(name);
    if (notes === undefined) this.#notes.set(name, (notes = new ContainerNotes()));
    return notes;
  }

  /** No image is wanted any more. */
  pullsCancelled(): void {
    for (const notes of this.#notes.values()) notes.cancelPull();
  }

  /** Everything of it has been removed from the machine. */
  removed(): void {
    this.containers.gone();
    this.sandboxes.gone();
    this.volumes.removed();
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
      const runs = this.containers.all.some(
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

  /** The facts that plan and status are made from. */
  seen(volumes: PodSeen["volumes"]): PodSeen {
    return {
      sandboxes: this.sandboxes.seen,
      networkReady: this.sandboxes.isConnected,
      volumes,
      containers: this.containers.seen,
      memories: new Map(
        podContainers(this.#pod?.spec, lastingRoles).map(({ name }) => [
          name,
          { specHash: this.#specHash(name), ...(this.#notes.get(name)?.memory ?? { isPulling: false }) },
        ]),
      ),
      retryAtMs: this.#retryAtMs,
      deletedAtMs: this.#deletedAtMs,
      phase: this.#status.phase,
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
      if (state.waiting?.reason === "CrashLoopBackOff" && restartCount > 0) {
        const restartedAtMs = monotonicOf(clock, Date.parse(lastState.terminated?.startedAt ?? "") || nowMs);
        this.notesOf(name).recallBackoff(backoffAfter(restartCount, restartedAtMs));
      }
      if (last !== undefined && last.attempt >= restartCount) continue;
      const end = state.terminated ?? (state.running === undefined ? lastState.terminated : undefined);
      if (end !== undefined) this.containers.ended(name, restartCount, endOf(end, clock));
      else if (state.running !== undefined) {
        const startedAtMs = Date.parse(state.running.startedAt ?? "");
        this.containers.ended(name, restartCount, {
          ...unknownEnd(nowMs, clock.monotonicMs()),
          ...(Number.isNaN(startedAtMs) ? {} : { startedAtMs }),
        });
      }
    }
  }

  /** What is remembered of an image that is no longer wanted goes: its pull, failures and back-offs. */
  #forgetOtherImages(before: Pod | undefined, now: Pod): void {
    const earlier = new Map(podContainers(before?.spec, lastingRoles).map(({ name, container }) => [name, container]));
    for (const { name, container } of podContainers(now.spec, lastingRoles)) {
      const known = earlier.get(name);
      if (known === undefined || known.image === container.image) continue;
      this.#notes.get(name)?.cancelPull();
      this.#notes.delete(name);
    }
  }

  #specHash(name: string): string {
    const found = podContainers(this.#pod?.spec, lastingRoles).find((other) => other.name === name);
    return found === undefined ? "" : containerSpecHash(found.container);
  }
}
