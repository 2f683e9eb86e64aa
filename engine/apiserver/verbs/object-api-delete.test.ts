import assert from "node:assert/strict";
import { test } from "node:test";
import { configMaps, pods } from "@peapod/api";
import { inProcess, minimalPod } from "./api-ground.fixture.ts";

const none = new AbortController().signal;

test("delete() removes a pod that runs nowhere at once, gives one that has a node its grace, which can only get shorter", async () => {
  await using ground = inProcess();
  const place = { namespace: "default", name: "a" };
  await ground.client.create(pods, minimalPod("a"), {}, none);
  assert.equal(await ground.client.delete(pods, place, {}, none), undefined);
  assert.equal(await ground.client.delete(pods, place, {}, none), undefined);
  const pod = await ground.client.create(pods, minimalPod("a", { nodeName: "n" }), {}, none);
  const first = await ground.client.delete(pods, place, {}, none);
  assert.deepEqual([first?.metadata.deletionGracePeriodSeconds, first?.metadata.generation], [30, 2]);
  const longer = await ground.client.delete(pods, place, { gracePeriodSeconds: 60 }, none);
  assert.equal(longer?.metadata.deletionTimestamp, first?.metadata.deletionTimestamp);
  const shorter = await ground.client.delete(pods, place, { gracePeriodSeconds: 5 }, none);
  assert.equal(Date.parse(first?.metadata.deletionTimestamp ?? "") - Date.parse(shorter?.metadata.deletionTimestamp ?? ""), 25_000);
  await assert.rejects(
    ground.client.delete(pods, place, { gracePeriodSeconds: 0, uid: "other" }, none),
    (error) => ground.api.statusOf(error).code === 409,
  );
  assert.equal(await ground.client.delete(pods, place, { gracePeriodSeconds: 0, uid: pod.metadata.uid ?? "" }, none), undefined);
  assert.equal(ground.api.list(pods, {}).items.length, 0);
});

test("delete() gives a second to a pod with a negative grace", async () => {
  await using ground = inProcess();
  const given = minimalPod("a");
  await ground.client.create(
    pods,
    { ...given, spec: { containers: [], ...given.spec, nodeName: "n", terminationGracePeriodSeconds: -5 } },
    {},
    none,
  );
  await ground.client.delete(pods, { namespace: "default", name: "a" }, {}, none);
  const { metadata } = await ground.client.get(pods, { namespace: "default", name: "a" }, none);
  assert.equal(metadata.deletionGracePeriodSeconds, 1);
});

test("delete() takes a grace that no timestamp can show, and counts from the request for a shorter one", async () => {
  await using ground = inProcess();
  const place = { namespace: "default", name: "a" };
  await ground.client.create(pods, minimalPod("a", { nodeName: "n" }), {}, none);
  const gracePeriodSeconds = Number.MAX_SAFE_INTEGER;
  const far = await ground.client.delete(pods, place, { gracePeriodSeconds }, none);
  assert.deepEqual(
    [far?.metadata.deletionTimestamp, far?.metadata.deletionGracePeriodSeconds],
    ["9999-12-31T23:59:59Z", gracePeriodSeconds],
  );
  const atMs = Date.now();
  const near = await ground.client.delete(pods, place, { gracePeriodSeconds: 3_600 }, none);
  const leftMs = Date.parse(near?.metadata.deletionTimestamp ?? "") - atMs;
  assert.ok(leftMs > 3_500_000 && leftMs < 3_700_000, `${leftMs} ms`);
});

test("delete() removes a pod that has ended at once", async () => {
  await using ground = inProcess();
  const place = { namespace: "default", name: "a" };
  await ground.client.create(pods, minimalPod("a", { nodeName: "n" }), {}, none);
  await ground.client.patch(pods, place, { type: "merge", body: { status: { phase: "Failed" } } }, { subresource: "status" }, none);
  assert.equal(await ground.client.delete(pods, place, {}, none), undefined);
});

test("delete() waits for finalizers; the change that takes the last one away removes", async () => {
  await using ground = inProcess();
  const place = { namespace: "default", name: "c" };
  await ground.client.create(
    configMaps,
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c", namespace: "default", finalizers: ["example.com/wait"] } },
    {},
    none,
  );
  assert.ok((await ground.client.delete(configMaps, place, {}, none))?.metadata.deletionTimestamp);
  assert.ok(ground.api.get(configMaps, place));
  await ground.client.patch(configMaps, place, { type: "merge", body: { metadata: { finalizers: null } } }, {}, none);
  assert.throws(() => ground.api.get(configMaps, place), { message: 'configmaps "c" not found' });
});
