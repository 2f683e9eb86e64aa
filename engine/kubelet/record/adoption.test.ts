import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { TestNode } from "../kubelet.fixture.ts";

const isRunning = (pod: { status?: { phase?: string } }): boolean => pod.status?.phase === "Running";

test("Kubelet adopts what runs and leaves it alone", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("web");
  const before = await node.until("web", isRunning);
  await node.stop();
  const calls = node.runtime.calls.length;
  node.start();
  await eventually(() => node.network.attached.size === 1, { withinMs: 1_000 });
  await node.createPod("other");
  await node.until("other", isRunning);
  const after = await node.pod("web");
  assert.deepEqual(after.status?.containerStatuses, before.status?.containerStatuses);
  assert.deepEqual(
    node.runtime.calls.slice(calls).filter((call) => /stop|remove/.test(call)),
    [],
  );
});

test("Kubelet is ready once it has adopted what runs, and knows the API's pods", async () => {
  await using node = await TestNode.open();
  node.start();
  const pod = await node.createPod("web");
  await node.until("web", isRunning);
  await node.stop();
  const look = node.runtime.listContainers.bind(node.runtime);
  const held = Promise.withResolvers<void>();
  node.runtime.listContainers = async () => {
    await held.promise;
    return await look();
  };
  node.start();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(node.kubelet.isReady, false);
  held.resolve();
  await eventually(() => node.kubelet.isReady, { withinMs: 5_000, everyMs: 1 });
  assert.equal(node.kubelet.record(pod.metadata.uid ?? "")?.containers.all.length, 1);
  await node.stop();
});

test("Kubelet records what exited while it was away, and restarts it", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("web");
  await node.until("web", isRunning);
  await node.stop();
  node.runtime.exit(await node.containerId(), 7);
  node.start();
  const pod = await node.until(
    "web",
    ({ status }) => status?.containerStatuses?.[0]?.restartCount === 1 && status.containerStatuses[0].ready,
  );
  assert.equal(pod.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 7);
});

test("Kubelet removes what is left of pods that were deleted while it was away", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("web");
  await node.until("web", isRunning);
  await node.stop();
  await node.deletePod("web", 0);
  await node.images.mountRootfs("sha256:x", "nobody_x_0");
  await node.images.mountRootfs("sha256:x", "nobody_y_0");
  node.images.failNext("removeRootfs", new Error("busy"));
  await node.network.reserve("nobody");
  await node.volumes.setUp("nobody", "data", { kind: "emptyDir", medium: "" });
  node.start();
  // One of the two could not be removed: nothing depends on it.
  await eventually(async () => assert.match((await node.leftovers()).join(), /^[^,]*nobody_[xy]_0[^,]*$/), { withinMs: 2_000 });
  await node.stop();
  node.start();
  await eventually(async () => assert.deepEqual(await node.leftovers(), []), { withinMs: 2_000 });
});

test("Kubelet finishes a deletion that it was in the middle of", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("web");
  await node.until("web", isRunning);
  await node.stop();
  await node.deletePod("web");
  node.start();
  await node.untilGone("web");
  assert.deepEqual(await node.leftovers(), []);
});

test("Kubelet makes a container anew that a crash left created", async () => {
  await using node = await TestNode.open();
  node.start();
  const pod = await node.createPod("web", {
    containers: [
      { name: "web", image: "app:1" },
      { name: "side", image: "app:1" },
    ],
  });
  await node.until("web", isRunning);
  await node.stop();
  const id = await node.containerId("side");
  const config = node.runtime.configOf(id);
  await node.runtime.removeContainer(id, node.signal);
  await node.runtime.createContainer((await node.runtime.listPodSandboxes())[0]?.id ?? "", config, node.signal);
  node.start();
  await eventually(
    async () => {
      const containers = await node.runtime.listContainers();
      assert.deepEqual(
        containers.filter(({ name }) => name === "side").map(({ state }) => state.kind),
        ["running"],
      );
    },
    { withinMs: 2_000 },
  );
  assert.equal((await node.pod(pod.metadata.name ?? "")).status?.phase, "Running");
});

for (const { restartPolicy, phase, restartCount } of [
  { restartPolicy: "Always", phase: "Running", restartCount: 1 },
  { restartPolicy: "Never", phase: "Failed", restartCount: 0 },
] as const) {
  test(`Kubelet takes a pod of policy ${restartPolicy} to ${phase} after a reboot`, async () => {
    await using node = await TestNode.open();
    node.start();
    await node.createPod("web", { restartPolicy });
    await node.until("web", isRunning);
    await node.stop();
    node.runtime.reboot();
    node.network.attached.clear();
    node.start();
    const { status } = await node.until(
      "web",
      (pod) =>
        pod.status?.phase === phase &&
        pod.status.containerStatuses?.[0]?.restartCount === restartCount &&
        (phase === "Failed" || pod.status.containerStatuses[0].ready),
    );
    const container = status?.containerStatuses?.[0];
    const end = container?.lastState?.terminated ?? container?.state?.terminated;
    assert.equal(end?.exitCode, 137);
    assert.equal(end?.reason, "ContainerStatusUnknown");
    const ready = (await node.runtime.listPodSandboxes()).filter(({ state }) => state === "ready");
    assert.equal(ready.length, phase === "Running" ? 1 : 0);
  });
}

test("Kubelet starts anew what the machine has forgotten altogether", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("web");
  await node.until("web", isRunning);
  await node.stop();
  const [sandbox] = await node.runtime.listPodSandboxes();
  await node.runtime.removePodSandbox(sandbox?.id ?? "", node.signal);
  node.start();
  const pod = await node.until(
    "web",
    ({ status }) => status?.containerStatuses?.[0]?.restartCount === 1 && status.containerStatuses[0].ready,
  );
  assert.equal(pod.status?.containerStatuses?.[0]?.lastState?.terminated?.reason, "ContainerStatusUnknown");
  await node.deletePod("web");
  await node.untilGone("web");
  assert.deepEqual(await node.leftovers(), []);
});
