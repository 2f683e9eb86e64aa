import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { events, nodes, type Pod, pods } from "@peapod/api";
import { type Client, connectInProcess } from "@peapod/client";
import { eventually, Scope, silentLogger, systemClock } from "@peapod/kit";
import { ObjectApi } from "../apiserver/verbs/object-api.ts";
import { openStore } from "../store/open-store.ts";
import { runScheduler } from "./scheduler.ts";

class Cluster implements AsyncDisposable {
  readonly client: Client;
  readonly scope: Scope;
  constructor(client: Client, scope: Scope) {
    this.client = client;
    this.scope = scope;
  }

  /** `schedulerClient` gives what the scheduler has of the API's client. */
  static async open(schedulerClient = (client: Client): Client => client): Promise<Cluster> {
    const scope = new Scope();
    const folder = await mkdtemp(join(tmpdir(), "peapod-scheduler-"));
    scope.defer(async () => rm(folder, { recursive: true, force: true }));
    const api = new ObjectApi({ store: openStore(join(folder, "store.db"), scope), clock: systemClock });
    api.prepare();
    const cluster = new Cluster(connectInProcess(api), scope);
    const done = runScheduler({ client: schedulerClient(cluster.client), log: silentLogger }, scope.signal);
    scope.defer(async () => done);
    return cluster;
  }

  async addNode(allocatable: Record<string, string> = { cpu: "2", memory: "2Gi", pods: "110" }): Promise<void> {
    const { signal } = this.scope;
    await this.client.create(nodes, { apiVersion: "v1", kind: "Node", metadata: { name: "node-1" } }, {}, signal);
    await this.client.patch(
      nodes,
      { name: "node-1" },
      { type: "merge", body: { status: { allocatable, capacity: allocatable } } },
      { subresource: "status" },
      signal,
    );
  }

  async addPod(name: string, container: object = {}, spec: object = {}): Promise<void> {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default" },
      spec: { containers: [{ name: "web", image: "app:1", ...container }], ...spec },
    } as Pod;
    await this.client.create(pods, pod, {}, this.scope.signal);
  }

  async pod(name: string): Promise<Pod> {
    return this.client.get(pods, { namespace: "default", name }, this.scope.signal);
  }

  async untilPlaced(name: string): Promise<void> {
    await eventually(async () => assert.equal((await this.pod(name)).spec?.nodeName, "node-1"), { withinMs: 2_000, everyMs: 5 });
  }

  async untilUnschedulable(name: string, message: string): Promise<void> {
    await eventually(
      async () => {
        const condition = (await this.pod(name)).status?.conditions?.find(({ type }) => type === "PodScheduled");
        assert.deepEqual([condition?.status, condition?.reason, condition?.message], ["False", "Unschedulable", message]);
        assert.equal(condition?.observedGeneration, 1);
      },
      { withinMs: 2_000, everyMs: 5 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scope[Symbol.asyncDispose]();
  }
}

test("runScheduler() places a pod and says so", async () => {
  await using cluster = await Cluster.open();
  await cluster.addNode();
  await cluster.addPod("web");
  await cluster.untilPlaced("web");
  await eventually(
    async () => {
      const { items } = await cluster.client.list(events, { namespace: "default" }, cluster.scope.signal);
      assert.ok(items.some(({ reason, message }) => reason === "Scheduled" && message === "Successfully assigned default/web to node-1"));
    },
    { withinMs: 2_000 },
  );
});

test("runScheduler() waits for a node", async () => {
  await using cluster = await Cluster.open();
  await cluster.addPod("web");
  await cluster.untilUnschedulable("web", "no nodes available to schedule pods");
  await cluster.addNode();
  await cluster.untilPlaced("web");
});

const crowded: { of: string; container: object; node?: Record<string, string>; message: string }[] = [
  { of: "cpu", container: { resources: { requests: { cpu: "1500m" } } }, message: "0/1 nodes are available: 1 Insufficient cpu." },
  {
    of: "memory",
    container: { resources: { requests: { memory: "1536Mi" } } },
    message: "0/1 nodes are available: 1 Insufficient memory.",
  },
  {
    of: "host ports",
    container: { ports: [{ containerPort: 80, hostPort: 8080 }] },
    message: "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
  },
  { of: "places", container: {}, node: { cpu: "2", memory: "2Gi", pods: "1" }, message: "0/1 nodes are available: 1 Too many pods." },
];

for (const { of, container, node, message } of crowded) {
  test(`runScheduler() leaves a pod pending for want of ${of}, and places it when another goes`, async () => {
    await using cluster = await Cluster.open();
    await cluster.addNode(node);
    await cluster.addPod("first", container);
    await cluster.untilPlaced("first");
    await cluster.addPod("second", container);
    await cluster.untilUnschedulable("second", message);
    await cluster.client.delete(pods, { namespace: "default", name: "first" }, { gracePeriodSeconds: 0 }, cluster.scope.signal);
    await cluster.untilPlaced("second");
  });
}

test("runScheduler() leaves a pod alone that names another node", async () => {
  await using cluster = await Cluster.open();
  await cluster.addNode();
  await cluster.addPod("elsewhere", {}, { nodeName: "node-2" });
  await cluster.addPod("web");
  await cluster.untilPlaced("web");
  assert.equal((await cluster.pod("elsewhere")).spec?.nodeName, "node-2");
});

test("runScheduler() gives the place of a pod that ended to another", async () => {
  await using cluster = await Cluster.open();
  await cluster.addNode({ cpu: "2", memory: "2Gi", pods: "1" });
  await cluster.addPod("first");
  await cluster.untilPlaced("first");
  await cluster.addPod("second");
  await cluster.untilUnschedulable("second", "0/1 nodes are available: 1 Too many pods.");
  const place = { namespace: "default", name: "first" };
  const body = { status: { phase: "Succeeded" } };
  await cluster.client.patch(pods, place, { type: "merge", body }, { subresource: "status" }, cluster.scope.signal);
  await cluster.untilPlaced("second");
});

test("runScheduler() takes the same looks at each waiting pod, however many wait, and gives way between two writes", async () => {
  let looks = 0;
  let writes = 0;
  let mostWrites = 0;
  const watching = (client: Client): Client => ({
    ...client,
    patch: async (...args) => {
      writes += 1;
      return await client.patch(...args);
    },
    async *watch(...args) {
      for await (const { type, object } of client.watch(...args)) {
        const seen = { ...object };
        Object.defineProperty(seen, "spec", {
          get: () => {
            looks += 1;
            return (object as Pod).spec;
          },
        });
        yield { type, object: seen };
      }
    },
  });
  await using cluster = await Cluster.open(watching);
  let turn: NodeJS.Immediate;
  const countTurn = (): void => {
    mostWrites = Math.max(mostWrites, writes);
    writes = 0;
    turn = setImmediate(countTurn);
  };
  turn = setImmediate(countTurn);
  cluster.scope.defer(() => clearImmediate(turn));
  await cluster.addNode({ cpu: "2", memory: "2Gi", pods: "0" });
  const looksOf = async (count: number, prefix: string): Promise<number> => {
    looks = 0;
    for (let index = 0; index < count; index++) await cluster.addPod(`${prefix}-${index}`);
    await cluster.untilUnschedulable(`${prefix}-${count - 1}`, "0/1 nodes are available: 1 Too many pods.");
    return looks / count;
  };
  const [few, more] = [await looksOf(20, "few"), await looksOf(200, "more")];
  assert.ok(more <= few + 1, `${few} looks at each of 20, ${more} at each of 200 more`);
  assert.equal(mostWrites, 1);
});
