import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Event, events, type Pod, pods } from "@peapod/api";
import { ApiError, type Client, connectInProcess } from "@peapod/client";
import { type Clock, eventually, type Logger, Scope, silentLogger, systemClock } from "@peapod/kit";
import { ObjectApi } from "../apiserver/verbs/object-api.ts";
import { FakeImages } from "../images/fake-images.fixture.ts";
import { FakeNetwork } from "../network/fake-network.fixture.ts";
import { removeLog } from "../logs/log-files.ts";
import { FakeRuntime } from "../runtime/fake/fake-runtime.ts";
import { recoverPods } from "../apiserver/verbs/recover-pods.ts";
import { recoverFromMachine } from "../recovery.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { FakeVolumes } from "../volumes/fake-volumes.fixture.ts";
import { Kubelet } from "./kubelet.ts";
import type { MachineFacts } from "./node-object.ts";

const NODE = "node-1";

interface TestNodeOptions {
  readonly endsOnStop?: () => boolean;
  readonly log?: Logger;
  readonly clock?: Clock;
  readonly removalLimitMs?: number;
}

const machine: MachineFacts = {
  cpus: 4,
  memoryBytes: 8 * 1024 ** 3,
  storageBytes: 100 * 1024 ** 3,
  architecture: "amd64",
  bootId: "boot-1",
  machineId: "machine-1",
  systemUuid: "system-1",
  kernel: "6.1.0",
  osImage: "Debian GNU/Linux 12 (bookworm)",
};

/** A real store and API, and a kubelet over fakes that outlive it, so that a test can end and restart it. */
export class TestNode implements AsyncDisposable {
  client: Client;
  readonly runtime: FakeRuntime;
  readonly images = new FakeImages();
  readonly volumes = new FakeVolumes();
  readonly network = new FakeNetwork();
  readonly podLogsDir: string;
  readonly keptPodsDir: string;
  readonly log: Logger;
  readonly clock: Clock;
  readonly #limits: { readonly removalLimitMs?: number };
  kubelet: Kubelet;
  readonly #scope: Scope;
  readonly #folder: string;
  #strangers: ReadonlySet<string> = new Set();
  #running: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;

  private constructor(
    scope: Scope,
    folder: string,
    runtime: FakeRuntime,
    { log = silentLogger, clock = systemClock, ...options }: TestNodeOptions,
  ) {
    this.#scope = scope;
    this.runtime = runtime;
    this.log = log;
    this.clock = clock;
    this.#folder = folder;
    this.#limits = options.removalLimitMs === undefined ? {} : { removalLimitMs: options.removalLimitMs };
    this.podLogsDir = join(folder, "pods");
    this.keptPodsDir = join(folder, "kept-pods");
    this.client = this.#connect(openStore(join(folder, "store.db"), scope));
    this.kubelet = this.#makeKubelet();
    this.images.add("app:1");
    this.images.add("app:2");
  }

  static async open(options: TestNodeOptions = {}): Promise<TestNode> {
    const scope = new Scope();
    const folder = await mkdtemp(join(tmpdir(), "peapod-kubelet-"));
    scope.defer(async () => rm(folder, { recursive: true, force: true }));
    const { clock = systemClock } = options;
    return new TestNode(scope, folder, new FakeRuntime({ ...options, nowMs: () => clock.nowMs() }), options);
  }

  get signal(): AbortSignal {
    return this.#scope.signal;
  }

  start(): void {
    this.kubelet = this.#makeKubelet();
    const stop = new AbortController();
    this.#running = { stop, done: this.kubelet.run(stop.signal) };
  }

  /** Ends the kubelet as an engine that stops; what is on the machine stays. */
  async stop(): Promise<void> {
    this.#running?.stop.abort();
    await this.#running?.done;
    this.#running = undefined;
  }

  /** Begins with an empty store, as an engine whose damaged store was moved away. */
  async loseStore(unknownPods: "keep" | "remove" = "keep"): Promise<void> {
    const { runtime, keptPodsDir, clock, log } = this;
    const store = openStore(join(this.#folder, `${randomUUID()}.db`), this.#scope);
    this.client = this.#connect(store);
    const earlier = { began: store.began, restore: (lost: readonly Pod[]): Pod[] => recoverPods({ store, clock }, lost) };
    this.#strangers = await recoverFromMachine({ earlier, runtime, keptPodsDir, log, unknownPods });
  }

  async createPod(name: string, spec: Partial<NonNullable<Pod["spec"]>> = {}): Promise<Pod> {
    const pod: Pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default" },
      spec: { nodeName: NODE, containers: [{ name: "web", image: "app:1" }], ...spec },
    };
    return this.client.create(pods, pod, {}, this.signal);
  }

  async pod(name: string): Promise<Pod> {
    return this.client.get(pods, { namespace: "default", name }, this.signal);
  }

  async podIfPresent(name: string): Promise<Pod | undefined> {
    try {
      return await this.pod(name);
    } catch (cause) {
      if (cause instanceof ApiError && cause.code === 404) return undefined;
      throw cause;
    }
  }

  async deletePod(name: string, gracePeriodSeconds?: number): Promise<void> {
    await this.client.delete(
      pods,
      { namespace: "default", name },
      gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds },
      this.signal,
    );
  }

  /** Waits until the pod is as `check` says. */
  async until(name: string, check: (pod: Pod) => boolean, withinMs = 5_000): Promise<Pod> {
    let last: Pod | undefined;
    try {
      return await eventually(
        async () => {
          last = await this.pod(name);
          return check(last) && last;
        },
        { withinMs, everyMs: 5 },
      );
    } catch (cause) {
      throw new Error(`Pod ${name} stays as ${JSON.stringify(last?.status)}`, { cause });
    }
  }

  async untilGone(name: string, withinMs = 5_000): Promise<void> {
    await eventually(async () => (await this.podIfPresent(name)) === undefined, { withinMs, everyMs: 5 });
  }

  async events(): Promise<Event[]> {
    return (await this.client.list(events, { namespace: "default" }, this.signal)).items;
  }

  /** What of any pod is left on the fake machine. */
  async leftovers(): Promise<string[]> {
    const [sandboxes, containers, rootfs, volumePods, networkPods] = await Promise.all([
      this.runtime.listPodSandboxes(),
      this.runtime.listContainers(),
      this.images.listRootfs(),
      this.volumes.listPods(),
      this.network.listPods(),
    ]);
    return [
      ...sandboxes.map(({ id }) => `sandbox ${id}`),
      ...containers.map(({ name, attempt }) => `container ${name}/${attempt}`),
      ...rootfs.map((key) => `rootfs ${key}`),
      ...volumePods.map((uid) => `volumes ${uid}`),
      ...networkPods.map((uid) => `address ${uid}`),
    ];
  }

  /** The id of the newest container of a name. */
  async containerId(name = "web"): Promise<string> {
    const found = (await this.runtime.listContainers())
      .filter((container) => container.name === name)
      .toSorted((left, right) => left.attempt - right.attempt)
      .at(-1);
    if (found === undefined) throw new Error(`No container "${name}" is on the machine`);
    return found.id;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#scope[Symbol.asyncDispose]();
  }

  #connect(store: Store): Client {
    const api = new ObjectApi({ store, clock: this.clock });
    api.prepare();
    return connectInProcess(api);
  }

  #makeKubelet(): Kubelet {
    const { client, runtime, images, volumes, network, podLogsDir, keptPodsDir, log, clock } = this;
    return new Kubelet({
      client,
      runtime,
      images,
      volumes,
      network,
      clock,
      log,
      nodeName: NODE,
      machine,
      podLogsDir,
      keptPodsDir,
      strangers: this.#strangers,
      ...this.#limits,
      removeLog,
    });
  }
}
