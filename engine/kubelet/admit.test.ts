import assert from "node:assert/strict";
import { test } from "node:test";
import { type Pod, pods } from "@peapod/api";
import type { Client, WatchEvent } from "@peapod/client";
import { refusalOf } from "./admit.ts";
import { TestNode } from "./kubelet.fixture.ts";

const foreign = { name: "disk", iscsi: { targetPortal: "192.0.2.1:3260", iqn: "iqn.2001-04.com.example:disk", lun: 0 } };

const withVolume = (pod: Pod): Pod => ({ ...pod, spec: { containers: [], ...pod.spec, volumes: [foreign] } });

const plain: Pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "web" }, spec: { containers: [{ name: "web", image: "app:1" }] } };

test("refusalOf() names the fields that cannot be honoured, and only some of many", () => {
  assert.equal(refusalOf(plain), undefined);
  assert.match(refusalOf(withVolume(plain))?.message ?? "", /^spec\.volumes\[0\]\.iscsi: /);
  const many = {
    ...plain,
    spec: { containers: [], volumes: Array.from({ length: 8 }, (_, index) => ({ ...foreign, name: `disk-${index}` })) },
  };
  assert.match(refusalOf(many)?.message ?? "", /spec\.volumes\[4\][^;]*; and 3 more$/);
});

/** An API that knows more than this engine: the pod of this name has a volume of its own kind. */
function knowingMore(client: Client, name: string): Client {
  const translate = <T>(object: T): T => {
    const pod = object as unknown as Pod; // asked for pods alone
    return pod.kind === "Pod" && pod.metadata.name === name ? (withVolume(pod) as unknown as T) : object;
  };
  async function* translated<T>(events: AsyncIterable<WatchEvent<T>>): AsyncGenerator<WatchEvent<T>> {
    for await (const event of events) yield { ...event, object: translate(event.object) };
  }
  return {
    ...client,
    list: async (resource, where, signal) => {
      const { items, resourceVersion } = await client.list(resource, where, signal);
      return { items: items.map(translate), resourceVersion };
    },
    watch: (resource, where, signal) => translated(client.watch(resource, where, signal)),
  };
}

test("a pod that a foreign API server took and this kubelet cannot honour fails, and nothing of it runs", async () => {
  await using node = await TestNode.open();
  node.client = knowingMore(node.client, "strange");
  node.start();
  await node.createPod("strange");
  await node.createPod("web");
  const { status } = await node.until("strange", (pod) => pod.status?.phase === "Failed");
  assert.equal(status?.reason, "PodFeatureUnsupported");
  assert.match(status.message ?? "", /^Pod was rejected: spec\.volumes\[0\]\.iscsi: /);
  await node.until("web", (pod) => pod.status?.phase === "Running");
  await node.stop();
  node.start(); // another kubelet finds it as it is
  await node.createPod("later");
  await node.until("later", (pod) => pod.status?.phase === "Running");
  assert.deepEqual((await node.client.get(pods, { namespace: "default", name: "strange" }, node.signal)).status, status);
  assert.deepEqual((await node.runtime.listPodSandboxes()).map(({ pod }) => pod.name).sort(), ["later", "web"]);
  await node.deletePod("strange");
  await node.untilGone("strange");
});
