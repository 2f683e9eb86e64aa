import assert from "node:assert/strict";
import { test } from "node:test";
import { configMaps, type Pod } from "@peapod/api";
import { eventually } from "@peapod/kit";
import { TestNode } from "./kubelet.fixture.ts";

const WITHIN = { withinMs: 5_000, everyMs: 5 };

/** A pod that shows all of a ConfigMap, one key of it, and another one that is not there yet. */
async function openNode(): Promise<{ node: TestNode; files: (volume: string) => string[] }> {
  const node = await TestNode.open();
  node.start();
  await createConfigMap(node, "settings", { a: "1", b: "2" });
  const { metadata } = await node.createPod("web", {
    containers: [
      { name: "web", image: "app:1", volumeMounts: [{ name: "strict", mountPath: "/strict" }] },
      { name: "side", image: "app:1", volumeMounts: [{ name: "all", mountPath: "/all" }] },
    ],
    volumes: [
      { name: "strict", configMap: { name: "settings", items: [{ key: "b", path: "b" }] } },
      { name: "all", configMap: { name: "settings" } },
      { name: "later", configMap: { name: "later", optional: true } },
    ],
  });
  await node.until("web", isReady);
  const files = (volume: string): string[] => {
    const plan = node.volumes.plans.get(metadata.uid ?? "")?.get(volume);
    if (plan?.kind !== "files") throw new Error(`Volume ${volume} has no files`);
    return plan.files.map(({ path, content }) => `${path}=${Buffer.from(content).toString()}`);
  };
  return { node, files };
}

const isReady = ({ status }: Pod): boolean => status?.containerStatuses?.every(({ ready }) => ready) === true;

async function createConfigMap(node: TestNode, name: string, data: Record<string, string>): Promise<void> {
  await node.client.create(
    configMaps,
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default" }, data },
    {},
    node.signal,
  );
}

async function patchSettings(node: TestNode, data: Record<string, string | null>): Promise<void> {
  await node.client.patch(configMaps, { namespace: "default", name: "settings" }, { type: "merge", body: { data } }, {}, node.signal);
}

async function problems(node: TestNode): Promise<string[]> {
  return (await node.events()).flatMap(({ reason, message, count }) => (reason === "FailedMount" ? [`${count} ${message}`] : []));
}

const problem = 'MountVolume.SetUp failed for volume "strict" : configmap references non-existent config key: b';

test("Kubelet updates each volume of a running pod for itself: one that lacks a key keeps what it shows, and an event says why", async () => {
  const { node, files } = await openNode();
  await using _node = node;
  await patchSettings(node, { a: "11", b: null });
  await createConfigMap(node, "later", { x: "y" });
  await eventually(() => assert.deepEqual([files("all"), files("later"), files("strict")], [["a=11"], ["x=y"], ["b=2"]]), WITHIN);
  await eventually(async () => assert.deepEqual(await problems(node), [`1 ${problem}`]), WITHIN);
  await patchSettings(node, { a: "111" }); // the problem is known
  await eventually(() => assert.deepEqual(files("all"), ["a=111"]), WITHIN);
  node.runtime.exit(await node.containerId("web"), 1);
  await node.until("web", (pod) => pod.status?.containerStatuses?.find(({ name }) => name === "web")?.restartCount === 1 && isReady(pod));
  await patchSettings(node, { b: "22" });
  await eventually(() => assert.deepEqual(files("strict"), ["b=22"]), WITHIN);
  await patchSettings(node, { b: null });
  await eventually(async () => assert.deepEqual(await problems(node), [`2 ${problem}`]), WITHIN);
});

test("Kubelet does so for a pod that it adopts; a container starts again once its own volume is whole", async () => {
  const { node, files } = await openNode();
  await using _node = node;
  await node.stop();
  await patchSettings(node, { a: "11", b: null });
  node.start();
  await eventually(() => assert.deepEqual([files("all"), files("strict")], [["a=11"], ["b=2"]]), WITHIN);
  await eventually(async () => assert.deepEqual(await problems(node), [`1 ${problem}`]), WITHIN);
  assert.equal(isReady(await node.pod("web")), true);
  node.runtime.exit(await node.containerId("web"), 1);
  const waiting = await node.until(
    "web",
    ({ status }) => status?.containerStatuses?.some(({ state }) => state?.waiting !== undefined) === true,
  );
  const states = waiting.status?.containerStatuses?.map(({ name, state }) => [name, state?.waiting?.reason, state?.waiting?.message]);
  assert.deepEqual(states, [
    ["side", undefined, undefined],
    ["web", "CreateContainerConfigError", problem],
  ]);
  await patchSettings(node, { b: "22" });
  await node.until("web", isReady);
  assert.deepEqual(files("strict"), ["b=22"]);
});

test("Kubelet updates the other volumes where one cannot be written, and tries that one again", async () => {
  const { node, files } = await openNode();
  await using _node = node;
  node.volumes.failNext("setUp", new Error("disk full")); // the first that is written
  await patchSettings(node, { a: "11", b: "22" });
  await eventually(() => assert.deepEqual([files("all"), files("strict")], [["a=11", "b=22"], ["b=2"]]), WITHIN);
  await eventually(() => assert.deepEqual(files("strict"), ["b=22"]), WITHIN);
  await eventually(
    async () => assert.deepEqual(await problems(node), ['1 MountVolume.SetUp failed for volume "strict" : disk full']),
    WITHIN,
  );
});
