import assert from "node:assert/strict";
import { test } from "node:test";
import { leases, nodes } from "@peapod/api";
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
