import assert from "node:assert/strict";
import { test } from "node:test";
import { leases, nodes, type NodeStatus } from "@peapod/api";
import { eventually, SteppingClock } from "@peapod/kit";
import { TestNode } from "./kubelet.fixture.ts";

const lease = { namespace: "kube-node-lease", name: "node-1" };

test("Kubelet registers a node that was deleted again at once, its lease too, however the wall clock is stepped", async () => {
  const clock = new SteppingClock();
  await using node = await TestNode.open({ clock });
  node.start();
  const untilRegistered = async (): Promise<string | undefined> =>
    eventually(
      async () => {
        const { metadata, status } = await node.client.get(nodes, { name: "node-1" }, node.signal);
        await node.client.get(leases, lease, node.signal);
        return status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") === true && metadata.uid;
      },
      { withinMs: 5_000, everyMs: 5 },
    );
  const first = await untilRegistered();
  clock.step(-86_400_000);
  await node.client.delete(leases, lease, {}, node.signal);
  await node.client.delete(nodes, { name: "node-1" }, {}, node.signal);
  const second = await untilRegistered();
  assert.notEqual(second, first);
  await node.createPod("web"); // it is looked after as before
  await node.until("web", ({ status }) => status?.phase === "Running");
});

test("Kubelet writes a status that somebody changed anew, and leaves what others added to it", async () => {
  await using node = await TestNode.open({ clock: new SteppingClock(20) });
  node.start();
  const untilReady = async (): Promise<NodeStatus> =>
    eventually(
      async () => {
        const { status } = await node.client.get(nodes, { name: "node-1" }, node.signal);
        return status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") === true && status;
      },
      { withinMs: 5_000, everyMs: 5 },
    );
  const { allocatable } = await untilReady();
  const body = { status: { conditions: [], allocatable: { cpu: "0", "example.com/gpu": "2" } } };
  const { status } = await node.client.patch(nodes, { name: "node-1" }, { type: "merge", body }, { subresource: "status" }, node.signal);
  assert.deepEqual([status?.conditions, status?.allocatable?.["cpu"]], [[], "0"]);
  assert.deepEqual((await untilReady()).allocatable, { ...allocatable, "example.com/gpu": "2" });
});
