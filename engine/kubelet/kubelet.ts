import { isPodTerminal, type Pod, pods } from "@peapod/api";
import { type Client, EventRecorder, objectKey, Reflector } from "@peapod/client";
import { abortAfter, type Clock, isAbort, KeyedWorker, type Logger, runTogether } from "@peapod/kit";
import type { ImageService } from "../images/images.ts";
import type { RemoveLog } from "../logs/logs.ts";
import type { PodNetwork } from "../network/network.ts";
import type { ContainerRuntime, RuntimeEvent } from "../runtime/runtime.ts";
import type { VolumeService } from "../volumes/volumes.ts";
import { adoptFromMachine, compareWithMachine } from "./record/adoption.ts";
import { type MachineFacts, nodeCapacity } from "./node-object.ts";
import { keepNodeRegistered } from "./node-registration.ts";
import { Places } from "./act/places.ts";
import { readResolvConf } from "./act/read-resolv-conf.ts";
import { PodRecord } from "./record/pod-record.ts";
import { removeAtOnce } from "./act/execute.ts";
import { runTurn } from "./act/pod-worker.ts";
import { type Reference, ReferenceIndex } from "./watch/reference-index.ts";
import { ReferenceWatches } from "./watch/reference-watches.ts";
import type { Services } from "./services.ts";
import { StatusWriter } from "./act/status-writer.ts";
import { WakeTimers } from "./watch/wake-timers.ts";

export interface KubeletOptions {
  readonly client: Client;
  readonly runtime: ContainerRuntime;
  readonly images: ImageService;
  readonly volumes: VolumeService;
  readonly network: PodNetwork;
  readonly clock: Clock;
  readonly log: Logger;
  readonly nodeName: string;
  readonly machine: MachineFacts;
  /** Where pods' logs are: `<namespace>_<pod>_<uid>/<container>/<attempt>.log`. */
  readonly podLogsDir: string;
  /** Where pods' objects are kept in case the API loses them: `<uid>.json`. */
  readonly keptPodsDir: string;
  /** Pods that run here and that the API never had: they are left alone, unless an object of theirs comes. */
  readonly strangers?: ReadonlySet<string>;
  readonly removeLog: RemoveLog;
  /** How long one try to remove a pod may take. Default 10 minutes: volumes may have many files. */
  readonly removalLimitMs?: number;
}

/** In case a notice of the runtime was lost. */
const RELIST_EVERY_MS = 300_000;
const REMOVAL_LIMIT_MS = 600_000;
/** For the last work of a kubelet that stops. */
const LAST_WORK_MS = 5_000;
/** So many pods start, and so many are removed, at the same time: more are no faster where the kernel has one lock for all mounts and one for all links. */
const PLACES_FOR_EACH_CPU = 2;
const MOST_PLACES = 16;
/** Twenty times what a start takes on a busy machine. */
const PLACE_HELD_MS = 5_000;
/** Pods that are gone are remembered so that a late notice does not bring them back. The oldest are forgotten. */
const GONE_LIMIT = 1_000;

/** Makes this machine run the pods that the API gives its node, and says there how they are. */
export class Kubelet {
  readonly #options: KubeletOptions;
  readonly #services: Services;
  readonly #recorder: EventRecorder;
  readonly #worker: KeyedWorker<string>;
  readonly #timers: WakeTimers;
  readonly #pods: Reflector<Pod>;
  readonly #references: ReferenceIndex;
  readonly #referenceWatches: ReferenceWatches;
  readonly #places: Services["places"];
  readonly #gone = new Set<string>();
  readonly #background = new Set<Promise<void>>();
  readonly #strangers: Set<string>;
  #records = new Map<string, PodRecord>();
  #isAdopted = false;
  #signal: AbortSignal = AbortSignal.abort();

  constructor(options: KubeletOptions) {
    this.#options = options;
    const { client, clock, log, nodeName, machine } = options;
    this.#strangers = new Set(options.strangers);
    this.#recorder = new EventRecorder({ client, component: "kubelet", host: nodeName, clock, log });
    this.#worker = new KeyedWorker(async (uid) => this.#turn(uid));
    const limit = Math.min(MOST_PLACES, PLACES_FOR_EACH_CPU * machine.cpus);
    const places = (): Places => new Places({ limit, heldMs: PLACE_HELD_MS, onAdmitted: (uid) => this.#worker.notify(uid) });
    this.#places = { start: places(), removal: places() };
    this.#timers = new WakeTimers(clock, (uid) => this.#worker.notify(uid));
    this.#services = {
      ...options,
      recorder: this.#recorder,
      statusWriter: new StatusWriter(client),
      places: this.#places,
      removalLimitMs: options.removalLimitMs ?? REMOVAL_LIMIT_MS,
      nodeMemoryBytes: machine.memoryBytes,
      allocatable: nodeCapacity(machine),
      resolver: async () => readResolvConf(),
      inBackground: (work) => {
        this.#background.add(work);
        void work.finally(() => this.#background.delete(work));
      },
      notify: (uid) => this.#worker.notify(uid),
      notifyAt: (uid, atMs) => this.#timers.wakeAt(uid, atMs),
    };
    this.#referenceWatches = new ReferenceWatches({ client, clock, log, onChange: (reference) => this.#referenceChanged(reference) });
    this.#references = new ReferenceIndex((reference) => this.#referenceWatches.watch(reference));
    this.#pods = new Reflector({
      client,
      resource: pods,
      selection: { fieldSelector: `spec.nodeName=${nodeName}` },
      clock,
      log,
      onChange: (_key, pod) => this.#podChanged(pod),
      onSynced: () => this.#notifyAll(),
    });
  }

  /** Where pods' logs are. */
  get podLogsDir(): string {
    return this.#options.podLogsDir;
  }

  /** Whether what ran before is adopted and the API's pods are known: what is asked of a pod is answered from here on. */
  get isReady(): boolean {
    return this.#isAdopted && this.#pods.isSynced;
  }

  /** What is known of a pod here. */
  record(uid: string): PodRecord | undefined {
    return this.#records.get(uid);
  }

  /** Adopts what runs, and looks after the node's pods until the signal is aborted. The containers of pods that the API has go on after it. */
  async run(signal: AbortSignal): Promise<void> {
    const { client, runtime, network } = this.#options;
    this.#signal = signal;
    const stop = new AbortController();
    const notices = runtime.events(AbortSignal.any([signal, stop.signal])); // before the look at the machine, so that nothing falls between
    this.#records = await adoptFromMachine(this.#services, signal);
    this.#isAdopted = true;
    this.#services.log.info("kubelet starts", { node: this.#options.nodeName, adoptedPods: this.#records.size });
    try {
      await runTogether(
        {
          pods: async (each) => this.#pods.run(each),
          references: async (each) => this.#referenceWatches.run(each),
          runtime: async (each) => this.#watchRuntime(notices, stop, each),
          relist: async (each) => this.#relist(each),
          events: async (each) => this.#recorder.run(each),
          timers: async (each) => this.#timers.run(each),
          node: async (each) =>
            keepNodeRegistered(
              { ...this.#options, hostIP: network.hostIP, runtimeVersion: runtime.version, client, recorder: this.#recorder },
              each,
            ),
        },
        signal,
      );
    } finally {
      stop.abort();
      for (const places of Object.values(this.#places)) places.stop();
      await Promise.all(this.#background);
      await this.#worker.idle();
      if (this.#pods.isSynced) await this.#removeUnknown();
    }
  }

  /** What was deleted by force and is still being stopped: the API does not show it, so nobody could tell that it stays. */
  async #removeUnknown(): Promise<void> {
    const last = abortAfter(LAST_WORK_MS);
    const unknown = [...this.#records.values()].filter(
      (record) => !record.isInApi && !record.isTornDown && !this.#strangers.has(record.uid),
    );
    await Promise.all(unknown.map(async (record) => removeAtOnce(this.#services, record, last)));
  }

  #podChanged(pod: Pod): void {
    const { uid = "", namespace = "", name = "" } = pod.metadata;
    if (this.#gone.has(uid) || pod.spec?.nodeName !== this.#options.nodeName) return;
    let record = this.#records.get(uid);
    const isInApi = this.#pods.get(objectKey(pod))?.metadata.uid === uid;
    if (record === undefined) {
      if (!isInApi) return;
      this.#records.set(uid, (record = new PodRecord({ uid, namespace, name })));
    }
    record.heard(pod, isInApi, this.#options.clock);
    if (isPodTerminal(pod)) this.#references.delete(uid);
    else this.#references.put(uid, pod);
    if (isInApi) this.#strangers.delete(uid);
    if (this.#pods.isSynced) this.#worker.notify(uid);
  }

  /** The first list is there: now it is known, too, what the API has no more. */
  #notifyAll(): void {
    for (const uid of this.#records.keys()) this.#worker.notify(uid);
  }

  async #turn(uid: string): Promise<void> {
    const record = this.#records.get(uid);
    if (record === undefined || this.#signal.aborted || !this.#pods.isSynced || this.#strangers.has(uid)) return;
    try {
      await runTurn(this.#services, record, this.#signal);
    } catch (cause) {
      if (!isAbort(cause, this.#signal)) this.#services.log.error("pod worker failed", { pod: record.name, uid, error: cause });
      return;
    }
    if (!record.isTornDown || record.isInApi) return;
    this.#records.delete(uid);
    this.#references.delete(uid);
    for (const places of Object.values(this.#places)) places.leave(uid);
    this.#gone.add(uid);
    const [oldest] = this.#gone;
    if (this.#gone.size > GONE_LIMIT && oldest !== undefined) this.#gone.delete(oldest);
  }

  #referenceChanged(reference: Reference): void {
    for (const uid of this.#references.users(reference)) {
      this.#records.get(uid)?.referencesChanged();
      this.#worker.notify(uid);
    }
  }

  async #watchRuntime(notices: AsyncIterable<RuntimeEvent>, stop: AbortController, signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => stop.abort(), { once: true });
    for await (const event of notices) {
      const record = this.#records.get(event.podUid);
      if (record === undefined) continue;
      record.hinted(event);
      this.#worker.notify(event.podUid);
    }
    // It ends only when it is told to; if not, nobody would hear of an exit any more.
    if (!signal.aborted) throw new Error("The runtime's events ended by themselves");
  }

  async #relist(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      await clock.sleep(RELIST_EVERY_MS, signal);
      for (const record of await compareWithMachine(this.#services, this.#records)) this.#worker.notify(record.uid);
    }
  }
}
