import assert from "node:assert/strict";
import { test } from "node:test";
import { type Pod, pods } from "@peapod/api";
import { eventually } from "@peapod/kit";
import { TestNode } from "./kubelet.fixture.ts";

const isRunning = (pod: Pod): boolean => pod.status?.phase === "Running";
const mounted = { containers: [{ name: "web", image: "app:1", volumeMounts: [{ name: "data", mountPath: "/data", subPath: "in" }] }] };
const spec = { volumes: [{ name: "data", emptyDir: {} }], ...mounted };

/** Has the next call, or the next one that is meant, hang, whatever its signal says, until `release`. */
function hang<T extends object>(
  service: T,
  name: keyof T & string,
  isMeant: (args: readonly unknown[]) => boolean = () => true,
): { readonly hasBegun: () => boolean; readonly release: () => void } {
  const target = service as Record<string, unknown>; // a method is put before its own
  const call = target[name] as (...args: unknown[]) => Promise<unknown>;
  const { promise, resolve } = Promise.withResolvers<void>();
  let hasBegun = false;
  target[name] = async (...args: unknown[]) => {
    if (!hasBegun && isMeant(args)) {
      hasBegun = true;
      await promise;
    }
    return call.apply(service, args);
  };
  return { hasBegun: () => hasBegun, release: resolve };
}

const starts: { readonly call: string; readonly of: (node: TestNode) => ReturnType<typeof hang>; readonly image?: string }[] = [
  { call: "runPodSandbox", of: ({ runtime }) => hang(runtime, "runPodSandbox") },
  { call: "reserve", of: ({ network }) => hang(network, "reserve") },
  { call: "attach", of: ({ network }) => hang(network, "attach") },
  { call: "setUp", of: ({ volumes }) => hang(volumes, "setUp") },
  { call: "subPath", of: ({ volumes }) => hang(volumes, "subPath") },
  { call: "writePodFile", of: ({ volumes }) => hang(volumes, "writePodFile") },
  { call: "imageStatus", of: ({ images }) => hang(images, "imageStatus") },
  { call: "pullImage", of: ({ images }) => hang(images, "pullImage"), image: "pulled:1" },
  { call: "mountRootfs", of: ({ images }) => hang(images, "mountRootfs") },
  { call: "createContainer", of: ({ runtime }) => hang(runtime, "createContainer") },
  { call: "startContainer", of: ({ runtime }) => hang(runtime, "startContainer") },
];

for (const { call, of, image = "app:1" } of starts) {
  test(`a pod whose ${call} hangs for ever holds up no other, and can be deleted; what comes late is removed`, async () => {
    await using node = await TestNode.open();
    node.images.publish("pulled:1");
    const hanging = of(node);
    node.start();
    await node.createPod("stuck", { ...spec, containers: spec.containers.map((container) => ({ ...container, image })) });
    await eventually(hanging.hasBegun, { withinMs: 5_000 });
    await node.createPod("other", spec);
    await node.until("other", isRunning);
    await node.deletePod("stuck");
    await node.untilGone("stuck");
    hanging.release();
    await node.deletePod("other");
    await node.untilGone("other");
    await eventually(async () => assert.deepEqual(await node.leftovers(), []), { withinMs: 5_000 });
  });

  test(`a kubelet whose ${call} hangs for ever stops`, async () => {
    await using node = await TestNode.open();
    node.images.publish("pulled:1");
    const hanging = of(node);
    node.start();
    await node.createPod("stuck", { ...spec, containers: spec.containers.map((container) => ({ ...container, image })) });
    await eventually(hanging.hasBegun, { withinMs: 5_000 });
    await node.stop();
    hanging.release();
  });
}

const tidyings: {
  readonly call: string;
  readonly of: (node: TestNode) => ReturnType<typeof hang>;
  readonly bringAbout: (node: TestNode) => Promise<void>;
}[] = [
  {
    call: "stopPodSandbox of a lost sandbox",
    of: ({ runtime }) => hang(runtime, "stopPodSandbox"),
    bringAbout: async ({ runtime }) => runtime.loseSandbox((await runtime.listPodSandboxes())[0]?.id ?? ""),
  },
  {
    call: "detach of a lost sandbox",
    of: ({ network }) => hang(network, "detach"),
    bringAbout: async ({ runtime }) => runtime.loseSandbox((await runtime.listPodSandboxes())[0]?.id ?? ""),
  },
  {
    call: "tearDown of a finished pod's volumes",
    of: ({ volumes }) => hang(volumes, "tearDown"),
    bringAbout: async (node) => node.runtime.exit(await node.containerId(), 0),
  },
  { call: "removeContainer of an older start", of: ({ runtime }) => hang(runtime, "removeContainer"), bringAbout: outdate },
  { call: "removePodSandbox of an older one", of: ({ runtime }) => hang(runtime, "removePodSandbox"), bringAbout: outdate },
];

/** Leaves a sandbox and a container behind that nobody needs: of a sandbox that was lost, and before that a changed image. */
async function outdate(node: TestNode): Promise<void> {
  node.runtime.loseSandbox((await node.runtime.listPodSandboxes())[0]?.id ?? "");
  await node.until("stuck", ({ status }) => status?.containerStatuses?.[0]?.restartCount === 1 && status.containerStatuses[0].ready);
  const body = { spec: { containers: [{ name: "web", image: "app:2" }] } };
  await node.client.patch(pods, { namespace: "default", name: "stuck" }, { type: "strategic", body }, {}, node.signal);
}

for (const { call, of, bringAbout } of tidyings) {
  test(`a pod is deleted though ${call} hangs for ever`, async () => {
    await using node = await TestNode.open();
    node.start();
    await node.createPod("stuck", { ...spec, restartPolicy: "OnFailure" });
    await node.until("stuck", isRunning);
    const hanging = of(node);
    await bringAbout(node);
    await eventually(hanging.hasBegun, { withinMs: 5_000 });
    await node.deletePod("stuck");
    await node.untilGone("stuck");
    hanging.release();
    await eventually(async () => assert.deepEqual(await node.leftovers(), []), { withinMs: 5_000 });
  });
}

const removals: { readonly call: string; readonly of: (node: TestNode) => ReturnType<typeof hang> }[] = [
  { call: "removeContainer", of: ({ runtime }) => hang(runtime, "removeContainer") },
  { call: "stopPodSandbox", of: ({ runtime }) => hang(runtime, "stopPodSandbox") },
  { call: "removePodSandbox", of: ({ runtime }) => hang(runtime, "removePodSandbox") },
  { call: "detach", of: ({ network }) => hang(network, "detach") },
  { call: "tearDown", of: ({ volumes }) => hang(volumes, "tearDown") },
  { call: "removeRootfs", of: ({ images }) => hang(images, "removeRootfs") },
  { call: "delete", of: ({ client }) => hang(client, "delete", ([, , options]) => (options as { uid?: string }).uid !== undefined) },
];

for (const { call, of } of removals) {
  test(`a removal whose ${call} hangs for ever is given up, and the next one removes everything`, async () => {
    await using node = await TestNode.open({ removalLimitMs: 100 });
    node.start();
    await node.createPod("stuck", spec);
    await node.until("stuck", isRunning);
    const hanging = of(node);
    await node.deletePod("stuck");
    await eventually(hanging.hasBegun, { withinMs: 5_000 });
    await node.untilGone("stuck");
    hanging.release();
    await eventually(async () => assert.deepEqual(await node.leftovers(), []), { withinMs: 5_000 });
  });
}

test("a pod is deleted with a shorter grace though its stop hangs for ever", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("stuck", spec);
  await node.until("stuck", isRunning);
  const hanging = hang(node.runtime, "stopContainer");
  await node.deletePod("stuck");
  await eventually(hanging.hasBegun, { withinMs: 5_000 });
  await node.deletePod("stuck", 1);
  await node.untilGone("stuck");
  hanging.release();
  assert.deepEqual(await node.leftovers(), []);
});
