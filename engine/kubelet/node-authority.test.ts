import assert from "node:assert/strict";
import { test } from "node:test";
import { configMaps, type KubeObject, type Resource, secrets } from "@peapod/api";
import type { Client } from "@peapod/client";
import { eventually } from "@peapod/kit";
import { TestNode } from "./kubelet.fixture.ts";

/** What a client was asked to read, and which of its watches are open. */
class Asked {
  readonly read = new Set<string>();
  readonly watched = new Set<string>();

  through(client: Client): Client {
    const note = (verb: string, resource: Resource<KubeObject>, where: object): string => {
      const what = `${resource.plural} ${JSON.stringify({ ...where, resourceVersion: undefined })}`;
      this.read.add(`${verb} ${what}`);
      return what;
    };
    const erased = <T extends KubeObject>(resource: Resource<T>): Resource<KubeObject> => resource as unknown as Resource<KubeObject>; // to name it alone
    return {
      ...client,
      get: async (resource, where, signal) => {
        note("get", erased(resource), where);
        return await client.get(resource, where, signal);
      },
      list: async (resource, where, signal) => {
        note("list", erased(resource), where);
        return await client.list(resource, where, signal);
      },
      watch: (resource, where, signal) => {
        const what = note("watch", erased(resource), where);
        this.watched.add(what);
        signal.addEventListener("abort", () => this.watched.delete(what), { once: true });
        return client.watch(resource, where, signal);
      },
    };
  }
}

test("Kubelet reads its own pods, and ConfigMaps and Secrets one by one, watched while a pod needs them", async () => {
  await using node = await TestNode.open();
  const asked = new Asked();
  node.client = asked.through(node.client);
  for (const name of ["login", "foreign"])
    await node.client.create(secrets, { apiVersion: "v1", kind: "Secret", metadata: { name, namespace: "default" } }, {}, node.signal);
  node.start();
  const env = [{ name: "A", valueFrom: { configMapKeyRef: { name: "settings", key: "a" } } }];
  for (const name of ["web", "job"])
    await node.createPod(name, {
      restartPolicy: "Never",
      containers: [{ name: "web", image: "app:1", env, envFrom: [{ secretRef: { name: "login" } }] }],
    });
  const settings = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings", namespace: "default" }, data: { a: "1" } } as const;
  await node.client.create(configMaps, settings, {}, node.signal);
  for (const name of ["web", "job"]) await node.until(name, ({ status }) => status?.phase === "Running");
  const ofKinds = (all: ReadonlySet<string>): string[] => [...all].filter((one) => /\b(pods|secrets|configmaps) /.test(one)).sort();
  const named = (name: string): string => JSON.stringify({ namespace: "default", fieldSelector: `metadata.name=${name}` });
  assert.deepEqual(ofKinds(asked.watched), [
    `configmaps ${named("settings")}`,
    'pods {"fieldSelector":"spec.nodeName=node-1"}',
    `secrets ${named("login")}`,
  ]);
  const strange = ofKinds(asked.read).filter(
    (one) => !/"name":"(login|settings|web|job)"|metadata.name=(login|settings)"|spec.nodeName=/.test(one),
  );
  assert.deepEqual(strange, []);
  await node.deletePod("web", 0);
  await node.untilGone("web");
  assert.equal(asked.watched.has(`secrets ${named("login")}`), true);
  const job = (await node.runtime.listContainers()).find(({ pod }) => pod.name === "job");
  node.runtime.exit(job?.id ?? "", 0); // one that has ended needs nothing more
  await eventually(() => assert.deepEqual(ofKinds(asked.watched), ['pods {"fieldSelector":"spec.nodeName=node-1"}']), { withinMs: 5_000 });
});
