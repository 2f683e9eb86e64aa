import { isPodTerminal, type Node, nodes, type Pod, type PodCondition, pods } from "@peapod/api";
import { ApiError, type Client, EventRecorder, objectKey, Reflector } from "@peapod/client";
import { backoffMs, type Clock, isAbort, KeyedWorker, type Logger, runTogether, systemClock } from "@peapod/kit";
import { misfits, unschedulableMessage } from "./fit.ts";

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

/** One pod at a time, so that two cannot be given the same room. */
class Scheduler {
  readonly #client: Client;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #recorder: EventRecorder;
  readonly #pods: Reflector<Pod>;
  readonly #nodes: Reflector<Node>;
  readonly #worker = new KeyedWorker<"all">(async () => this.#placeAll());
  /** What was placed but may not have come back by the watch yet, by uid. */
  readonly #assumed = new Map<string, { readonly pod: Pod; readonly nodeName: string }>();
  #failures = 0;
  #signal: AbortSignal = AbortSignal.abort();

  constructor({ client, log, clock = systemClock }: SchedulerOptions) {
    this.#client = client;
    this.#log = log;
    this.#clock = clock;
    this.#recorder = new EventRecorder({ client, component: "default-scheduler", host: "", clock, log });
    this.#pods = new Reflector({
      client,
      resource: pods,
      clock,
      log,
      onChange: (key, pod) => this.#podChanged(key, pod),
      onSynced: () => this.#worker.notify("all"),
    });
    this.#nodes = new Reflector({
      client,
      resource: nodes,
      clock,
      log,
      onChange: () => this.#worker.notify("all"),
      onSynced: () => this.#worker.notify("all"),
    });
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

  #podChanged(key: string, pod: Pod): void {
    const now = this.#pods.get(key);
    const isGone = now?.metadata.uid !== pod.metadata.uid;
    if (isGone || (pod.spec?.nodeName ?? "") !== "") this.#assumed.delete(pod.metadata.uid ?? "");
    // A running pod's status changes often, and makes no room.
    if (isGone || isPodTerminal(pod) || isUnplaced(pod)) this.#worker.notify("all");
  }

  async #placeAll(): Promise<void> {
    if (!this.#pods.isSynced || !this.#nodes.isSynced) return;
    const waiting = [...this.#pods.values()].filter((pod) => isUnplaced(pod) && !this.#assumed.has(pod.metadata.uid ?? ""));
    const oldestFirst = waiting.toSorted((left, right) =>
      (left.metadata.creationTimestamp ?? "").localeCompare(right.metadata.creationTimestamp ?? ""),
    );
    for (const pod of oldestFirst) {
      if (this.#signal.aborted) return;
      try {
        await this.#place(pod);
        this.#failures = 0;
      } catch (cause) {
        if (isAbort(cause, this.#signal)) return;
        if (cause instanceof ApiError && (cause.code === 404 || cause.code === 409)) continue; // gone or changed: the watch tells
        this.#log.warn("pod not placed", { pod: objectKey(pod), error: cause });
        void this.#retryLater();
      }
    }
  }

  async #retryLater(): Promise<void> {
    await this.#clock.sleep(backoffMs(RETRY_CURVE, this.#failures++), this.#signal).catch(() => {}); // only ever aborted
    if (!this.#signal.aborted) this.#worker.notify("all");
  }

  async #place(pod: Pod): Promise<void> {
    const { namespace = "", name = "", uid = "" } = pod.metadata;
    const candidates = [...this.#nodes.values()];
    const found = candidates.map((node) => ({ node, reasons: misfits(pod, node, this.#podsOn(node.metadata.name ?? "", uid)) }));
    const nodeName = found.find(({ reasons }) => reasons.length === 0)?.node.metadata.name;
    if (nodeName === undefined) {
      const message = unschedulableMessage(
        found.flatMap(({ reasons }) => reasons),
        candidates.length,
      );
      return this.#tellUnschedulable(pod, message);
    }
    await this.#client.patch(
      pods,
      { namespace, name },
      { type: "merge", body: { metadata: { uid }, spec: { nodeName } } },
      {},
      this.#signal,
    );
    this.#assumed.set(uid, { pod, nodeName });
    this.#recorder.record(subjectOf(pod), "Normal", "Scheduled", `Successfully assigned ${namespace}/${name} to ${nodeName}`);
  }

  #podsOn(nodeName: string, exceptUid: string): Pod[] {
    const placed = [...this.#pods.values()].filter((pod) => pod.spec?.nodeName === nodeName);
    const assumed = [...this.#assumed.values()].filter((entry) => entry.nodeName === nodeName).map(({ pod }) => pod);
    return [...placed, ...assumed].filter(({ metadata }) => metadata.uid !== exceptUid);
  }

  async #tellUnschedulable(pod: Pod, message: string): Promise<void> {
    const known = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
    if (known?.status === "False" && known.message === message) return;
    const condition: PodCondition = {
      type: "PodScheduled",
      ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
      status: "False",
      reason: "Unschedulable",
      message,
      lastTransitionTime:
        known?.status === "False" && known.lastTransitionTime !== undefined
          ? known.lastTransitionTime
          : `${new Date(this.#clock.nowMs()).toISOString().slice(0, 19)}Z`,
    };
    const { namespace = "", name = "", uid = "" } = pod.metadata;
    const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== "PodScheduled");
    this.#recorder.record(subjectOf(pod), "Warning", "FailedScheduling", message);
    const body = { metadata: { uid }, status: { conditions: [...others, condition] } };
    await this.#client.patch(pods, { namespace, name }, { type: "merge", body }, { subresource: "status" }, this.#signal);
  }
}

function isUnplaced(pod: Pod): boolean {
  return (pod.spec?.nodeName ?? "") === "" && pod.metadata.deletionTimestamp === undefined && !isPodTerminal(pod);
}

function subjectOf({ metadata }: Pod): Parameters<EventRecorder["record"]>[0] {
  const { namespace = "", name = "", uid = "", resourceVersion } = metadata;
  return { apiVersion: "v1", kind: "Pod", namespace, name, uid, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
}
