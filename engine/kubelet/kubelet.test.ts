import assert from "node:assert/strict";
import { test } from "node:test";
import { pods } from "@peapod/api";
import { eventually } from "@peapod/kit";
import { TestNode } from "./kubelet.fixture.ts";

const isRunning = (pod: { status?: { phase?: string } }): boolean => pod.status?.phase === "Running";

test("Kubelet runs a pod of three containers and says so in one write", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("three", { containers: ["a", "b", "c"].map((name) => ({ name, image: "app:1" })) });
  const pod = await node.until("three", isRunning);
  assert.deepEqual(
    pod.status?.containerStatuses?.map(({ name, ready, restartCount }) => [name, ready, restartCount]),
    [
      ["a", true, 0],
      ["b", true, 0],
      ["c", true, 0],
    ],
  );
  assert.equal(
    pod.status?.conditions?.every(({ status }) => status === "True"),
    true,
  );
  assert.equal(pod.status?.podIP, "10.88.0.2");
  assert.equal(pod.status?.hostIP, "10.88.0.1");
  assert.match(pod.status?.containerStatuses?.[0]?.containerID ?? "", /^fake:\/\/[0-9a-f]+$/);
  await eventually(
    async () => {
      const reasons = (await node.events()).filter(({ involvedObject }) => involvedObject.kind === "Pod").map(({ reason }) => reason);
      assert.deepEqual(
        reasons.filter((reason) => reason !== undefined).toSorted((left, right) => left.localeCompare(right)),
        ["Created", "Created", "Created", "Pulled", "Pulled", "Pulled", "Started", "Started", "Started"],
      );
    },
    { withinMs: 2_000 },
  );
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

test("Kubelet restarts a container at once, then backs off, and keeps its last end", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("web");
  await node.until("web", isRunning);
  node.runtime.exit(await node.containerId(), 1);
  const restarted = await node.until(
    "web",
    ({ status }) => status?.containerStatuses?.[0]?.restartCount === 1 && status.containerStatuses[0].ready,
  );
  assert.equal(restarted.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 1);
  node.runtime.exit(await node.containerId(), 2);
  const { metadata, status } = await node.until("web", (pod) => pod.status?.containerStatuses?.[0]?.state?.waiting !== undefined);
  const container = status?.containerStatuses?.[0];
  assert.deepEqual(container?.state?.waiting, {
    reason: "CrashLoopBackOff",
    message: `back-off 10s restarting failed container=web pod=web_default(${metadata.uid})`,
  });
  assert.equal(container?.lastState?.terminated?.exitCode, 2);
  assert.equal(status?.phase, "Running");
  await eventually(async () => assert.ok((await node.events()).some(({ reason }) => reason === "BackOff")), { withinMs: 2_000 });
});

for (const { restartPolicy, exitCode, phase } of [
  { restartPolicy: "Never", exitCode: 0, phase: "Succeeded" },
  { restartPolicy: "Never", exitCode: 3, phase: "Failed" },
  { restartPolicy: "OnFailure", exitCode: 0, phase: "Succeeded" },
] as const) {
  test(`Kubelet ends a pod of policy ${restartPolicy} with exit code ${exitCode} as ${phase}, and keeps only its dead container`, async () => {
    await using node = await TestNode.open();
    node.start();
    await node.createPod("once", { restartPolicy, containers: [{ name: "web", image: "app:1", command: ["exit", String(exitCode)] }] });
    const pod = await node.until("once", ({ status }) => status?.phase === phase);
    assert.equal(pod.status?.containerStatuses?.[0]?.state?.terminated?.exitCode, exitCode);
    await eventually(
      async () =>
        assert.deepEqual(
          (await node.leftovers()).filter((left) => !/^(sandbox|container|rootfs) /.test(left)),
          [],
        ),
      { withinMs: 2_000 },
    );
    assert.equal((await node.runtime.listPodSandboxes())[0]?.state, "notready");
    await node.deletePod("once"); // the API removes the object of a finished pod at once
    await eventually(async () => assert.deepEqual(await node.leftovers(), []), { withinMs: 2_000 });
  });
}

test("Kubelet gives a deleted pod its grace, and kills what was not done by then", async () => {
  await using node = await TestNode.open({ endsOnStop: () => false });
  node.start();
  await node.createPod("slow", { terminationGracePeriodSeconds: 60 });
  await node.until("slow", isRunning);
  await node.deletePod("slow");
  await eventually(() => node.runtime.calls.some((call) => /^stopContainer web (59|60)$/.test(call)), { withinMs: 2_000 });
  await node.deletePod("slow", 1); // a shorter grace counts
  await node.untilGone("slow");
  assert.ok(node.runtime.calls.includes("stopContainer web 2"), node.runtime.calls.join("\n"));
  assert.deepEqual(await node.leftovers(), []);
});

test("Kubelet removes what is left of a pod that was deleted by force", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("web");
  await node.until("web", isRunning);
  await node.deletePod("web", 0);
  await node.untilGone("web");
  await eventually(async () => assert.deepEqual(await node.leftovers(), []), { withinMs: 2_000 });
});

test("Kubelet makes a container anew when its image changes, whatever the restart policy", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("web", { restartPolicy: "Never" });
  await node.until("web", isRunning);
  const body = { spec: { containers: [{ name: "web", image: "app:2" }] } };
  await node.client.patch(pods, { namespace: "default", name: "web" }, { type: "strategic", body }, {}, node.signal);
  const pod = await node.until(
    "web",
    ({ status }) => status?.containerStatuses?.[0]?.image === "app:2" && status.containerStatuses[0].ready,
  );
  assert.equal(pod.status?.containerStatuses?.[0]?.restartCount, 1);
  await eventually(
    async () => assert.ok((await node.events()).some(({ message }) => message === "Container web definition changed, will be restarted")),
    { withinMs: 2_000 },
  );
});

test("Kubelet starts and removes only some pods at once, in order, and none that was deleted while it waited", async () => {
  await using node = await TestNode.open();
  const { runtime } = node;
  const atOnce = { runPodSandbox: 0, removePodSandbox: 0 };
  const most = { ...atOnce };
  const begun: string[] = [];
  const holds = { runPodSandbox: Promise.withResolvers<void>(), removePodSandbox: Promise.withResolvers<void>() };
  using _released = { [Symbol.dispose]: () => Object.values(holds).forEach(({ resolve }) => resolve()) };
  const counted = async <T>(call: keyof typeof atOnce, work: () => Promise<T>): Promise<T> => {
    atOnce[call] += 1;
    most[call] = Math.max(most[call], atOnce[call]);
    await holds[call].promise;
    try {
      return await work();
    } finally {
      atOnce[call] -= 1;
    }
  };
  const runPodSandbox = runtime.runPodSandbox.bind(runtime);
  const removePodSandbox = runtime.removePodSandbox.bind(runtime);
  runtime.runPodSandbox = async (config, signal) => {
    begun.push(config.pod.name);
    return await counted("runPodSandbox", async () => runPodSandbox(config, signal));
  };
  runtime.removePodSandbox = async (id, signal) => await counted("removePodSandbox", async () => removePodSandbox(id, signal));
  node.start();
  const names = Array.from({ length: 30 }, (_, index) => `web-${String(index).padStart(2, "0")}`);
  for (const name of names) await node.createPod(name);
  await eventually(() => begun.length === 8, { withinMs: 5_000 });
  await node.deletePod("web-20", 0);
  await node.untilGone("web-20");
  holds.runPodSandbox.resolve();
  const kept = names.filter((name) => name !== "web-20");
  for (const name of kept) await node.until(name, ({ status }) => status?.phase === "Running");
  assert.deepEqual(begun, kept);
  for (const name of kept) await node.deletePod(name, 0);
  await eventually(() => atOnce.removePodSandbox === 8, { withinMs: 5_000 });
  holds.removePodSandbox.resolve();
  await eventually(async () => assert.deepEqual(await node.leftovers(), []), { withinMs: 5_000 });
  assert.deepEqual([most.runPodSandbox, most.removePodSandbox], [8, 8]);
});
