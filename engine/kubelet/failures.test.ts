import assert from "node:assert/strict";
import { test } from "node:test";
import { configMaps, pods } from "@peapod/api";
import { eventually } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import { TestNode } from "./kubelet.fixture.ts";

const broken = new EngineError("RUNTIME_FAILED", "It broke");

const steps: { readonly step: string; readonly fail: (node: TestNode) => void; readonly event: string }[] = [
  { step: "the sandbox cannot be made", fail: ({ runtime }) => runtime.failNext("runPodSandbox", broken), event: "FailedCreatePodSandBox" },
  { step: "no address is free", fail: ({ network }) => network.failNext("reserve", broken), event: "FailedCreatePodSandBox" },
  { step: "the network cannot be connected", fail: ({ network }) => network.failNext("attach", broken), event: "FailedCreatePodSandBox" },
  { step: "a volume cannot be set up", fail: ({ volumes }) => volumes.failNext("setUp", broken), event: "FailedMount" },
  { step: "a pod file cannot be written", fail: ({ volumes }) => volumes.failNext("writePodFile", broken), event: "Failed" },
  { step: "the root file system cannot be mounted", fail: ({ images }) => images.failNext("mountRootfs", broken), event: "Failed" },
  {
    step: "the container cannot be created",
    fail: ({ runtime }) => runtime.failNext("createContainer", new EngineError("CONTAINER_CREATE_FAILED", "It broke")),
    event: "Failed",
  },
  {
    step: "the container cannot be started",
    fail: ({ runtime }) => runtime.failNext("startContainer", new EngineError("CONTAINER_START_FAILED", "It broke")),
    event: "Failed",
  },
];

for (const { step, fail, event } of steps) {
  test(`Kubelet tells when ${step}, tries again, and leaves nothing`, async () => {
    await using node = await TestNode.open();
    fail(node);
    node.start();
    await node.createPod("web", {
      volumes: [{ name: "data", emptyDir: {} }],
      containers: [{ name: "web", image: "app:1", volumeMounts: [{ name: "data", mountPath: "/data" }] }],
    });
    await node.until("web", ({ status }) => status?.phase === "Running");
    await eventually(async () => assert.ok((await node.events()).some(({ reason, type }) => reason === event && type === "Warning")), {
      withinMs: 2_000,
    });
    await eventually(
      async () => assert.equal((await node.leftovers()).filter((left) => /^(sandbox|container|rootfs)/.test(left)).length, 3),
      { withinMs: 2_000 },
    );
    await node.deletePod("web");
    await node.untilGone("web");
    assert.deepEqual(await node.leftovers(), []);
  });

  test(`Kubelet leaves nothing of a pod deleted after ${step}`, async () => {
    await using node = await TestNode.open();
    for (let time = 0; time < 20; time++) fail(node);
    node.start();
    await node.createPod("web", {
      volumes: [{ name: "data", emptyDir: {} }],
      containers: [{ name: "web", image: "app:1", volumeMounts: [{ name: "data", mountPath: "/data" }] }],
    });
    await eventually(async () => assert.ok((await node.events()).some(({ reason, type }) => reason === event && type === "Warning")), {
      withinMs: 2_000,
    });
    await node.deletePod("web");
    await node.untilGone("web");
    assert.deepEqual(await node.leftovers(), []);
  });
}

for (const [call, fail] of Object.entries<(node: TestNode) => void>({
  removeContainer: ({ runtime }) => runtime.failNext("removeContainer", broken),
  stopPodSandbox: ({ runtime }) => runtime.failNext("stopPodSandbox", broken),
  removePodSandbox: ({ runtime }) => runtime.failNext("removePodSandbox", broken),
  detach: ({ network }) => network.failNext("detach", broken),
  tearDown: ({ volumes }) => volumes.failNext("tearDown", broken),
  removeRootfs: ({ images }) => images.failNext("removeRootfs", broken),
  stopContainer: ({ runtime }) => runtime.failNext("stopContainer", broken),
})) {
  test(`Kubelet tries again when ${call} fails at a pod's removal`, async () => {
    await using node = await TestNode.open();
    node.start();
    await node.createPod("web", { volumes: [{ name: "data", emptyDir: {} }] });
    await node.until("web", ({ status }) => status?.phase === "Running");
    fail(node);
    await node.deletePod("web");
    await node.untilGone("web");
    assert.deepEqual(await node.leftovers(), []);
  });
}

for (const call of ["createContainer", "startContainer"] as const) {
  test(`Kubelet counts a process that ${call} cannot start as one that ended with 128`, async () => {
    await using node = await TestNode.open();
    for (let time = 0; time < 2; time++) node.runtime.failNext(call, new EngineError("CONTAINER_START_FAILED", "no such file"));
    node.start();
    await node.createPod("web");
    const pod = await node.until("web", ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === "CrashLoopBackOff");
    const { restartCount, lastState } = pod.status?.containerStatuses?.[0] ?? {};
    assert.deepEqual(
      [restartCount, lastState?.terminated?.exitCode, lastState?.terminated?.reason, lastState?.terminated?.message],
      [1, 128, "StartError", "no such file"],
    );
  });
}

test("Kubelet tells why a start failed, though what it had made cannot be removed", async () => {
  await using node = await TestNode.open();
  node.images.failNext("removeRootfs", new Error("It cannot be removed"));
  node.runtime.failNext("createContainer", new EngineError("CONTAINER_CONFIG_INVALID", "It broke"));
  node.start();
  await node.createPod("web", { containers: [{ name: "web", image: "app:1" }] });
  await node.until("web", ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === "CreateContainerConfigError");
  await node.until("web", ({ status }) => status?.phase === "Running");
  const messages = async () => (await node.events()).filter(({ type }) => type === "Warning").map(({ message }) => message);
  await eventually(async () => assert.deepEqual(await messages(), ["Error: It broke"]), { withinMs: 2_000 });
});

test("Kubelet replaces a sandbox that is lost, at once", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("web", { shareProcessNamespace: true });
  await node.until("web", ({ status }) => status?.phase === "Running");
  const [lost] = await node.runtime.listPodSandboxes();
  node.runtime.loseSandbox(lost?.id ?? "");
  await node.until("web", ({ status }) => {
    const [web] = status?.containerStatuses ?? [];
    return web?.restartCount === 1 && web.state?.running !== undefined;
  });
  const sandboxes = await node.runtime.listPodSandboxes();
  assert.deepEqual(sandboxes.map(({ attempt, state }) => `${attempt} ${state}`).toSorted(), ["0 notready", "1 ready"]);
});

test("Kubelet tells that a sandbox which cannot be connected is replaced", async () => {
  await using node = await TestNode.open();
  node.network.failNext("attach", broken);
  node.start();
  await node.createPod("web");
  await node.until("web", ({ status }) => status?.phase === "Running");
  const message = "Pod sandbox changed, it will be killed and re-created.";
  await eventually(
    async () =>
      assert.equal((await node.events()).filter((event) => event.reason === "SandboxChanged" && event.message === message).length, 1),
    { withinMs: 2_000 },
  );
});

test("Kubelet goes through ErrImagePull to ImagePullBackOff", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("web", { containers: [{ name: "web", image: "missing:1" }] });
  const first = await node.until("web", ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === "ErrImagePull");
  assert.match(first.status?.containerStatuses?.[0]?.state?.waiting?.message ?? "", /no such image/);
  assert.equal(first.status?.phase, "Pending");
  const second = await node.until("web", ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === "ImagePullBackOff");
  assert.match(second.status?.containerStatuses?.[0]?.state?.waiting?.message ?? "", /^Back-off pulling image "missing:1": ErrImagePull: /);
});

test("Kubelet pulls another image at once, whatever the back-off of the one before", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("web", { containers: [{ name: "web", image: "missing:1" }] });
  await node.until("web", ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === "ImagePullBackOff");
  node.images.publish("found:1");
  const body = { spec: { containers: [{ name: "web", image: "found:1" }] } };
  await node.client.patch(pods, { namespace: "default", name: "web" }, { type: "strategic", body }, {}, node.signal);
  const running = await node.until("web", ({ status }) => status?.phase === "Running", 1_000);
  assert.equal(running.status?.containerStatuses?.[0]?.image, "found:1");
});

test("Kubelet says ErrImageNeverPull and InvalidImageName", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("never", { containers: [{ name: "web", image: "missing:1", imagePullPolicy: "Never" }] });
  await node.until("never", ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === "ErrImageNeverPull");
  node.images.failNext("imageStatus", new EngineError("IMAGE_NAME_INVALID", "No such name"));
  await node.createPod("invalid", { containers: [{ name: "web", image: "app:1", imagePullPolicy: "IfNotPresent" }] });
  await node.until("invalid", ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === "InvalidImageName");
});

test("Kubelet waits for a ConfigMap that a variable needs, and starts as soon as it is there", async () => {
  await using node = await TestNode.open();
  node.start();
  const env = [{ name: "MODE", valueFrom: { configMapKeyRef: { name: "settings", key: "mode" } } }];
  await node.createPod("web", { containers: [{ name: "web", image: "app:1", env }] });
  const waiting = await node.until(
    "web",
    ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === "CreateContainerConfigError",
  );
  assert.equal(waiting.status?.containerStatuses?.[0]?.state?.waiting?.message, 'configmap "settings" not found');
  await createSettings(node, { mode: "fast" });
  await node.until("web", ({ status }) => status?.phase === "Running", 500);
  assert.ok(node.runtime.configOf(await node.containerId()).env.includes("MODE=fast"));
});

test("Kubelet waits for a ConfigMap that a volume needs, and shows its changes", async () => {
  await using node = await TestNode.open();
  node.start();
  const pod = await node.createPod("web", { volumes: [{ name: "settings", configMap: { name: "settings" } }] });
  await eventually(
    async () =>
      assert.ok(
        (await node.events()).some(
          ({ reason, message }) =>
            reason === "FailedMount" && message === 'MountVolume.SetUp failed for volume "settings" : configmap "settings" not found',
        ),
      ),
    { withinMs: 2_000 },
  );
  assert.deepEqual(await node.runtime.listPodSandboxes(), []);
  await createSettings(node, { mode: "fast" });
  await node.until("web", ({ status }) => status?.phase === "Running", 500);
  await node.client.patch(
    configMaps,
    { namespace: "default", name: "settings" },
    { type: "merge", body: { data: { mode: "slow" } } },
    {},
    node.signal,
  );
  const shown = (): string | undefined => {
    const plan = node.volumes.plans.get(pod.metadata.uid ?? "")?.get("settings");
    return plan?.kind === "files" ? Buffer.from(plan.files[0]?.content ?? []).toString() : undefined;
  };
  await eventually(() => shown() === "slow", { withinMs: 1_000 });
  assert.equal((await node.pod("web")).status?.containerStatuses?.[0]?.restartCount, 0);
});

async function createSettings(node: TestNode, data: Record<string, string>): Promise<void> {
  await node.client.create(
    configMaps,
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings", namespace: "default" }, data },
    {},
    node.signal,
  );
}
