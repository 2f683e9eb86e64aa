import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { TestNode } from "./kubelet.fixture.ts";

const isRunning = (pod: { status?: { phase?: string } }): boolean => pod.status?.phase === "Running";

test("Kubelet runs a pod of three containers and says so in one write", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("three", { containers: ["a", "b", "c"].map((name) => ({ name, image: "app:1" })) });
  const pod = await node.until("three", isRunning);
  assert.deepEqual(pod.status?.containerStatuses?.map(({ name, ready, restartCount }) => [name, ready, restartCount]), [["a", true, 0], ["b", true, 0], ["c", true, 0]]);
  assert.equal(pod.status?.conditions?.every(({ status }) => status === "True"), true);
  assert.equal(pod.status?.podIP, "10.88.0.2");
  assert.equal(pod.status?.hostIP, "10.88.0.1");
  assert.match(pod.status?.containerStatuses?.[0]?.containerID ?? "", /^fake:\/\/[0-9a-f]+$/);
  await eventually(async () => {
    const reasons = (await node.events()).filter(({ involvedObject }) => involvedObject.kind === "Pod").map(({ reason }) => reason);
    assert.deepEqual(reasons.toSorted(), ["Created", "Created", "Created", "Pulled", "Pulled", "Pulled", "Started", "Started", "Started"]);
  }, { withinMs: 2_000 });
});

test("Kubelet removes everything of a deleted pod, then its object", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("web");
  await node.until("web", isRunning);
  await node.deletePod("web");
  await node.untilGone("web");
  assert.deepEqual(await node.leftovers(), []);
});
