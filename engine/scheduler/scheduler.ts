import { isPodTerminal, type Node, nodes, type Pod, type PodCondition, pods, timestamp } from "@peapod/api";
import { ApiError, type Client, EventRecorder, objectKey, Reflector } from "@peapod/client";
import { backoffMs, type Clock, giveWay, isAbort, KeyedWorker, type Logger, runTogether, systemClock } from "@peapod/kit";
import { demandOf } from "./demand.ts";
import { findNode } from "./fit.ts";
import { NodeRoom } from "./node-room.ts";
import { createdAt, type WaitingGroup, WaitingPods } from "./waiting-pods.ts";

export interface SchedulerOptions {
  readonly client: Client;
  readonly log: Logger;
  readonly clock?: Clock;
}

const RETRY_CURVE = { initialMs: 500, maximumMs: 30_000 };

/** Gives each pod without a node the first node that it fits on, until the signal is aborted. */
export async function runScheduler(options: SchedulerOptions, signal: AbortSignal): Promise<void> {
  await new Scheduler(options).run(signal);
}

/** One pod at a time, so that two cannot be given the same room; the event loop's other work has its turn between two. */
class Scheduler {
  readonly #client: Client;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #recorder: EventRecorder;
  readonly #pods: Reflector<Pod>;
  readonly #nodes: Reflector<Node>;
  readonly #worker = new KeyedWorker<"due">(async () => this.#placeDue());
  readonly #waiting = new WaitingPods();
  /** By the node's name, also where only pods name it. */
  readonly #rooms = new Map<string, NodeRoom>();
  /** What was placed but may not have come back by the watch yet, by uid. */
  readonly #assumed = new Set<string>();
  #failures = 0;
  #signal: AbortSignal = AbortSignal.abort();

  constructor({ client, log, clock = systemClock }: SchedulerOptions) {
    this.#client = client;
    this.#log = log;
    this.#clock = clock;
    this.#recorder = new EventRecorder({ client, component: "default-scheduler", host: "", clock, log });
    const onSynced = (): void => this.#worker.notify("due");
    this.#pods = new Reflector({ client, resource: pods, clock, log, onSynced, onChange: (key, pod) => this.#podChanged(key, pod) });
    this.#nodes = new Reflector({ client, resource: nodes, clock, log, onSynced, onChange: (key) => this.#nodeChanged(key) });
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    try {
      await runTogether(
        {
          pods: async (each) => this.#pods.run(each),
          nodes: async (each) => this.#nodes.run(each),
          events: async (each) => this.#recorder.run(each),
        },
        signal,
      );
    } finally {
      await this.#worker.idle();
    }
  }

  #nodeChanged(name: string): void {
    const node = this.#nodes.get(name);
    const isChanged = this.#room(name).setNode(node);
    this.#forgetIfEmpty(name);
    if (!isChanged) return; // a heartbeat
    this.#waiting.allFreed();
    this.#worker.notify("due");
  }

  #podChanged(key: string, pod: Pod): void {
    const { uid = "" } = pod.metadata;
    const { nodeName = "" } = pod.spec ?? {};
    const isGone = this.#pods.get(key)?.metadata.uid !== uid;
    if (isGone || nodeName !== "") this.#assumed.delete(uid);
    if (!isGone && isUnplaced(pod)) {
      if (this.#assumed.has(uid)) return;
      this.#waiting.put(pod);
    } else {
      this.#waiting.delete(uid);
      if (!isGone && nodeName !== "" && !isPodTerminal(pod)) return this.#room(nodeName).add(uid, demandOf(pod));
      this.#free(uid, nodeName);
    }
    this.#worker.notify("due");
  }

  /** A pod that was assumed on a node may be gone before the watch told of its place. */
  #free(uid: string, nodeName: string): void {
    for (const [name, room] of nodeName === "" ? [...this.#rooms] : [[nodeName, this.#room(nodeName)] as const]) {
      this.#waiting.freed(room.remove(uid));
      this.#forgetIfEmpty(name);
    }
  }

  #room(nodeName: string): NodeRoom {
    let room = this.#rooms.get(nodeName);
    if (room === undefined) this.#rooms.set(nodeName, (room = new NodeRoom()));
    return room;
  }

  #forgetIfEmpty(nodeName: string): void {
    if (this.#rooms.get(nodeName)?.isEmpty === true) this.#rooms.delete(nodeName);
  }

  /** Places what fits by now, the oldest first, then tells the others why not. */
  async #placeDue(): Promise<void> {
    if (!this.#pods.isSynced || !this.#nodes.isSynced) return;
    const due = this.#waiting.takeDue();
    const failed = new Set<WaitingGroup>();
    for (let fitting = due; !this.#signal.aborted;) {
      fitting = fitting.filter((group) => group.pods.size > 0 && !failed.has(group) && this.#verdict(group).kind === "fits");
      const [next] = fitting.toSorted((left, right) => (ageOf(left) < ageOf(right) ? -1 : 1));
      if (next === undefined) break;
      if (!(await this.#try(next, async () => this.#placeOldest(next)))) failed.add(next);
    }
    for (const group of due) if (group.pods.size > 0 && !failed.has(group)) await this.#tellGroup(group);
  }

  async #tellGroup(group: WaitingGroup): Promise<void> {
    const verdict = this.#verdict(group);
    if (verdict.kind === "fits") {
      this.#waiting.retry(group); // room came free while the others were seen to
      return this.#worker.notify("due");
    }
    this.#waiting.settle(group, verdict.message, verdict.waitsFor);
    for (const uid of group.untold) {
      if (this.#signal.aborted || !(await this.#try(group, async () => this.#tell(group, uid)))) return;
    }
  }

  #verdict({ demand }: WaitingGroup): ReturnType<typeof findNode> {
    return findNode(demand, this.#rooms);
  }

  /** One write for a group. False where it failed: the group is due again after a while. */
  async #try(group: WaitingGroup, write: () => Promise<void>): Promise<boolean> {
    try {
      await write();
      this.#failures = 0;
      await giveWay();
      return true;
    } catch (cause) {
      if (isAbort(cause, this.#signal)) return false;
      this.#log.warn("pod not placed", { pod: group.oldest === undefined ? "" : objectKey(group.oldest), error: cause });
      void this.#retryLater(group);
      return false;
    }
  }

  async #retryLater(group: WaitingGroup): Promise<void> {
    await this.#clock.sleep(backoffMs(RETRY_CURVE, this.#failures++), this.#signal).catch(() => {}); // only ever aborted
    if (this.#signal.aborted) return;
    this.#waiting.retry(group);
    this.#worker.notify("due");
  }

  async #placeOldest(group: WaitingGroup): Promise<void> {
    const { oldest, demand } = group;
    const verdict = this.#verdict(group);
    if (oldest === undefined || verdict.kind !== "fits") return;
    const { namespace = "", name = "", uid = "" } = oldest.metadata;
    const { nodeName } = verdict;
    const isWritten = await this.#patch(oldest, { spec: { nodeName } });
    this.#waiting.delete(uid);
    if (!isWritten) return;
    this.#room(nodeName).add(uid, demand);
    this.#assumed.add(uid);
    this.#recorder.record(subjectOf(oldest), "Normal", "Scheduled", `Successfully assigned ${namespace}/${name} to ${nodeName}`);
  }

  async #tell(group: WaitingGroup, uid: string): Promise<void> {
    const { message } = group;
    const pod = group.pods.get(uid);
    const known = pod?.status?.conditions?.find(({ type }) => type === "PodScheduled");
    if (pod === undefined || (known?.status === "False" && known.message === message)) return void group.untold.delete(uid);
    const condition: PodCondition = {
      type: "PodScheduled",
      ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
      status: "False",
      reason: "Unschedulable",
      message,
      lastTransitionTime:
        known?.status === "False" && known.lastTransitionTime !== undefined ? known.lastTransitionTime : timestamp(this.#clock.nowMs()),
    };
    const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== "PodScheduled");
    await this.#patch(pod, { status: { conditions: [...others, condition] } }, "status");
    group.untold.delete(uid);
    this.#recorder.record(subjectOf(pod), "Warning", "FailedScheduling", message);
  }

  /** False where the pod is gone or another one by now: the watch tells. */
  async #patch({ metadata }: Pod, change: object, subresource?: "status"): Promise<boolean> {
    const { namespace = "", name = "", uid = "" } = metadata;
    const options = subresource === undefined ? {} : { subresource };
    try {
      await this.#client.patch(pods, { namespace, name }, { type: "merge", body: { metadata: { uid }, ...change } }, options, this.#signal);
      return true;
    } catch (cause) {
      if (cause instanceof ApiError && (cause.code === 404 || cause.code === 409)) return false;
      throw cause;
    }
  }
}

function ageOf({ oldest }: WaitingGroup): string {
  return oldest === undefined ? "" : createdAt(oldest);
}

function isUnplaced(pod: Pod): boolean {
  return (pod.spec?.nodeName ?? "") === "" && pod.metadata.deletionTimestamp === undefined && !isPodTerminal(pod);
}

function subjectOf({ metadata }: Pod): Parameters<EventRecorder["record"]>[0] {
  const { namespace = "", name = "", uid = "", resourceVersion } = metadata;
  return { apiVersion: "v1", kind: "Pod", namespace, name, uid, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
}
