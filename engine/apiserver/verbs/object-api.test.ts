import assert from "node:assert/strict";
import { test } from "node:test";
import { type ConfigMap, configMaps, events, leases, namespaces, nodes, type Pod, pods, serviceAccounts } from "@peapod/api";
import { inProcess, minimalPod } from "./api-ground.fixture.ts";
import { eventually } from "@peapod/kit";

const none = new AbortController().signal;

test("ObjectApi has the namespaces of every cluster, each with its default account", async () => {
  await using ground = inProcess();
  const names = ground.api.list(namespaces, {}).items.map(({ metadata }) => metadata.name);
  assert.deepEqual(names, ["default", "kube-node-lease", "kube-public", "kube-system"]);
  assert.equal(ground.api.list(serviceAccounts, {}).items.length, 4);
  ground.api.prepare();
  assert.equal(ground.api.list(namespaces, {}).items.length, 4);
});

test("create() completes a pod as a cluster does", async () => {
  await using ground = inProcess();
  const pod = (await ground.client.create(pods, minimalPod("a"), {}, none)) as Pod;
  assert.equal(pod.status?.phase, "Pending");
  assert.equal(pod.status?.qosClass, "BestEffort");
  assert.equal(pod.spec?.restartPolicy, "Always");
  assert.equal(pod.spec?.serviceAccountName, "default");
  assert.equal(pod.metadata.generation, 1);
  assert.match(pod.metadata.uid ?? "", /^[0-9a-f-]{36}$/);
  assert.match(pod.metadata.creationTimestamp ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.equal(pod.metadata.resourceVersion, ground.api.list(pods, {}).resourceVersion);
});

test("create() gives a name to what has only a prefix", async () => {
  await using ground = inProcess();
  const { name: _name, ...metadata } = minimalPod("").metadata;
  const pod = await ground.client.create(pods, { ...minimalPod(""), metadata: { ...metadata, generateName: "web-" } }, {}, none);
  assert.match(pod.metadata.name ?? "", /^web-[a-z0-9]{5}$/);
});

test("create() makes up another name where the first one is taken", async (context) => {
  await using ground = inProcess();
  const { name: _name, ...metadata } = minimalPod("").metadata;
  const given = { ...minimalPod(""), metadata: { ...metadata, generateName: "web-" } };
  const numbers = [...Array<number>(10).fill(0), ...Array<number>(5).fill(0.5)]; // the first name twice, then another
  context.mock.method(Math, "random", () => numbers.shift() ?? 0.9);
  const first = await ground.client.create(pods, given, {}, none);
  const second = await ground.client.create(pods, given, {}, none);
  assert.equal(first.metadata.name, "web-bbbbb");
  assert.notEqual(second.metadata.name, first.metadata.name);
});

const refusals: { does: string; body: unknown; want: RegExp; code: number; strict?: boolean }[] = [
  {
    does: "a namespace that is not there",
    body: { ...minimalPod("a"), metadata: { name: "a", namespace: "nope" } },
    code: 404,
    want: /^namespaces "nope" not found$/,
  },
  {
    does: "an unknown field when Strict",
    body: { ...minimalPod("a"), spec: { ...minimalPod("a").spec, foo: 1 } },
    code: 400,
    strict: true,
    want: /strict decoding error: unknown field "spec\.foo"$/,
  },
  { does: "a mistyped field", body: { ...minimalPod("a"), spec: { containers: "x" } }, code: 400, want: /spec\.containers/ },
  {
    does: "another kind",
    body: { kind: "Secret", apiVersion: "v1", metadata: { name: "a", namespace: "default" } },
    code: 400,
    want: /does not match the expected kind \(Pod\)/,
  },
  {
    does: "no containers",
    body: { ...minimalPod("a"), spec: { containers: [] } },
    code: 422,
    want: /^Pod "a" is invalid: spec\.containers: Required value/,
  },
  {
    does: "a resource version",
    body: { ...minimalPod("a"), metadata: { name: "a", namespace: "default", resourceVersion: "7" } },
    code: 400,
    want: /^resourceVersion should not be set/,
  },
  { does: "what is not an object", body: [], code: 400, want: /must be a JSON object/ },
];
for (const { does, body, want, code, strict } of refusals) {
  test(`create() refuses ${does}`, async () => {
    await using ground = inProcess();
    const namespace = does.startsWith("a namespace") ? "nope" : "default";
    assert.throws(
      () => ground.api.create(pods, namespace, body, strict === true ? { fieldValidation: "Strict" } : {}),
      (error: unknown) => {
        const status = ground.api.statusOf(error);
        assert.match(status.message ?? "", want);
        assert.equal(status.code, code);
        return true;
      },
    );
  });
}

test("create() takes an unknown field with a warning unless told otherwise", async () => {
  await using ground = inProcess();
  const warnings: string[] = [];
  const body = { ...minimalPod("a"), spec: { ...minimalPod("a").spec, foo: 1 } } as Pod;
  await ground.client.create(pods, body, { onWarning: (text) => warnings.push(text) }, none);
  assert.deepEqual(warnings, ['unknown field "spec.foo"']);
});

test("create() says the same name is there already", async () => {
  await using ground = inProcess();
  await ground.client.create(pods, minimalPod("a"), {}, none);
  await assert.rejects(ground.client.create(pods, minimalPod("a"), {}, none), { name: "ApiError", message: 'pods "a" already exists' });
  await assert.rejects(ground.client.create(pods, minimalPod("a"), { dryRun: true }, none), {
    name: "ApiError",
    message: 'pods "a" already exists',
  });
});

test("dryRun gives the object and stores nothing", async () => {
  await using ground = inProcess();
  const before = ground.api.list(pods, {}).resourceVersion;
  const pod = await ground.client.create(pods, minimalPod("a"), { dryRun: true }, none);
  assert.ok(pod.metadata.uid);
  assert.deepEqual([ground.api.list(pods, {}).items.length, ground.api.list(pods, {}).resourceVersion], [0, before]);
});

test("update() refuses a version that is not the newest, changes nothing where nothing changed", async () => {
  await using ground = inProcess();
  const made = await ground.client.create(
    configMaps,
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c", namespace: "default" }, data: { a: "1" } },
    {},
    none,
  );
  const changed = await ground.client.update(configMaps, { ...made, data: { a: "2" } }, {}, none);
  assert.notEqual(changed.metadata.resourceVersion, made.metadata.resourceVersion);
  await assert.rejects(
    ground.client.update(configMaps, { ...made, data: { a: "3" } }, {}, none),
    (error) => ground.api.statusOf(error).reason === "Conflict",
  );
  const same = await ground.client.update(configMaps, { ...changed, data: { a: "2" } }, {}, none);
  assert.equal(same.metadata.resourceVersion, changed.metadata.resourceVersion);
  const { resourceVersion: _version, ...metadata } = made.metadata;
  assert.deepEqual((await ground.client.update(configMaps, { ...made, metadata, data: { a: "4" } }, {}, none)).data, { a: "4" });
});

test("update() of a lease needs its version", async () => {
  await using ground = inProcess();
  const lease = {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "l", namespace: "default" },
    spec: { holderIdentity: "me" },
  } as const;
  await ground.client.create(leases, lease, {}, none);
  await assert.rejects(
    ground.client.update(leases, lease, {}, none),
    /metadata\.resourceVersion: Invalid value: .*must be specified for an update/,
  );
});

test("the status is written through its own path, and nothing else is", async () => {
  await using ground = inProcess();
  const place = { namespace: "default", name: "a" };
  const made = await ground.client.create(pods, minimalPod("a"), {}, none);
  const main = await ground.client.patch(
    pods,
    place,
    { type: "merge", body: { status: { phase: "Running" }, metadata: { labels: { x: "y" } } } },
    {},
    none,
  );
  assert.deepEqual([main.status?.phase, main.metadata.labels], ["Pending", { x: "y" }]);
  const status = await ground.client.patch(
    pods,
    place,
    { type: "merge", body: { status: { phase: "Running", qosClass: "Guaranteed" }, spec: { nodeName: "n" } } },
    { subresource: "status" },
    none,
  );
  assert.deepEqual([status.status?.phase, status.status?.qosClass, status.spec?.nodeName], ["Running", "BestEffort", undefined]);
  assert.equal(status.metadata.generation, made.metadata.generation);
});

test("patch() that brings a pod to a node leaves its generation as it is", async () => {
  await using ground = inProcess();
  await ground.client.create(pods, minimalPod("a"), {}, none);
  const bind = { type: "merge", body: { spec: { nodeName: "box" } } } as const;
  const bound = await ground.client.patch(pods, { namespace: "default", name: "a" }, bind, {}, none);
  assert.deepEqual([bound.spec?.nodeName, bound.metadata.generation], ["box", 1]);
});

test("patch() of the spec makes a new generation, of what may not change a 422", async () => {
  await using ground = inProcess();
  const place = { namespace: "default", name: "a" };
  await ground.client.create(pods, minimalPod("a"), {}, none);
  const changed = await ground.client.patch(
    pods,
    place,
    { type: "json", body: [{ op: "replace", path: "/spec/containers/0/image", value: "other" }] },
    {},
    none,
  );
  assert.deepEqual([changed.spec?.containers[0]?.image, changed.metadata.generation], ["other", 2]);
  const strategic = { spec: { containers: [{ name: "main", image: "third" }] } };
  assert.equal(
    (await ground.client.patch(pods, place, { type: "strategic", body: strategic }, {}, none)).spec?.containers[0]?.image,
    "third",
  );
  await assert.rejects(
    ground.client.patch(pods, place, { type: "merge", body: { spec: { hostname: "h" } } }, {}, none),
    (error) => ground.api.statusOf(error).code === 422,
  );
  await assert.rejects(ground.client.patch(pods, { namespace: "default", name: "b" }, { type: "merge", body: {} }, {}, none), {
    message: 'pods "b" not found',
  });
  await assert.rejects(
    ground.client.patch(pods, place, { type: "merge", body: { metadata: { uid: "other" } } }, {}, none),
    (error) => ground.api.statusOf(error).code === 409,
  );
});

test("a client in this process lists much in several turns of the event loop, and goes on from its version", async () => {
  await using ground = inProcess();
  const nameOf = (index: number): string => `map-${String(index).padStart(3, "0")}`;
  const map = (index: number): ConfigMap => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: nameOf(index), namespace: "default" },
  });
  for (let index = 0; index < 450; index++) ground.api.create(configMaps, "default", map(index), {});
  const version = ground.api.list(configMaps, {}).resourceVersion;
  const listing = ground.client.list(configMaps, { namespace: "default" }, none);
  setImmediate(() => ground.api.create(configMaps, "default", map(450), {})); // between two pages
  const { items, resourceVersion } = await listing;
  const names = Array.from({ length: 451 }, (_, index) => nameOf(index));
  assert.deepEqual(
    [items.map(({ metadata }) => metadata.name).filter((name) => name?.startsWith("map-")), resourceVersion],
    [names, version],
  );
});

test("list() pages, selects, and its version goes on to a watch", async () => {
  await using ground = inProcess();
  for (const name of ["a", "b", "c", "d"])
    await ground.client.create(
      pods,
      { ...minimalPod(name), metadata: { name, namespace: "default", labels: { odd: String(name === "a" || name === "c") } } },
      {},
      none,
    );
  const first = ground.api.list(pods, { limit: 3 });
  assert.deepEqual([first.items.length, first.remainingItemCount], [3, 1]);
  await ground.client.create(pods, minimalPod("e"), {}, none);
  const second = ground.api.list(pods, { limit: 3, continue: first.continue ?? "" });
  assert.deepEqual(
    [second.items.map(({ metadata }) => metadata.name), second.continue, second.resourceVersion],
    [["d", "e"], undefined, first.resourceVersion],
  );
  const odd = ground.api.list(pods, { labelSelector: "odd=true", limit: 1 });
  assert.deepEqual([odd.items.map(({ metadata }) => metadata.name), odd.remainingItemCount], [["a"], undefined]);
  assert.deepEqual(
    ground.api.list(pods, { labelSelector: "odd=true", limit: 1, continue: odd.continue ?? "" }).items.map(({ metadata }) => metadata.name),
    ["c"],
  );
  assert.equal(ground.api.list(pods, { fieldSelector: "metadata.name!=a" }).items.length, 4);
  assert.throws(
    () => ground.api.list(pods, { fieldSelector: "spec.nope=1" }),
    (error) => ground.api.statusOf(error).code === 400,
  );
  assert.throws(
    () => ground.api.list(pods, { continue: "nonsense" }),
    (error) => ground.api.statusOf(error).code === 400,
  );
  assert.throws(
    () => ground.api.list(pods, { resourceVersion: "9000000000000000" }),
    (error) => ground.api.statusOf(error).code === 504,
  );
  assert.throws(
    () => ground.api.list(pods, { resourceVersion: "2", resourceVersionMatch: "Exact" }),
    (error) => ground.api.statusOf(error).code === 410,
  );
  assert.throws(
    () => ground.api.list(pods, { resourceVersionMatch: "Exact" }),
    (error) => ground.api.statusOf(error).code === 422,
  );
});

test("watch() tells a selector's objects that come, change and leave", async () => {
  await using ground = inProcess();
  const stop = new AbortController();
  const { resourceVersion } = await ground.client.list(pods, {}, none);
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { type, object } of ground.client.watch(pods, { labelSelector: "on=yes", resourceVersion }, stop.signal))
      seen.push(`${type} ${object.metadata.name}`);
  })();
  const place = { namespace: "default", name: "a" };
  const label = (on: string) => ground.client.patch(pods, place, { type: "merge", body: { metadata: { labels: { on } } } }, {}, none);
  await ground.client.create(pods, minimalPod("a"), {}, none);
  await label("yes");
  await ground.client.patch(pods, place, { type: "merge", body: { metadata: { annotations: { x: "y" } } } }, {}, none);
  await label("no");
  await label("yes");
  await ground.client.delete(pods, place, {}, none);
  await eventually(() => seen.length === 5, { withinMs: 1_000 });
  assert.deepEqual(seen, ["ADDED a", "MODIFIED a", "DELETED a", "ADDED a", "DELETED a"]);
  stop.abort();
  await assert.rejects(watching, { name: "AbortError" });
});

test("watch() begins with what is there, marks where that ends, and refuses what is too old or new", async () => {
  await using ground = inProcess();
  await ground.client.create(pods, minimalPod("a"), {}, none);
  const stop = new AbortController();
  const request = { sendInitialEvents: true, resourceVersionMatch: "NotOlderThan", allowWatchBookmarks: true };
  const seen: string[] = [];
  for await (const { type, object } of ground.api.watch(pods, request, stop.signal)) {
    seen.push(`${type} ${object.metadata.name ?? object.metadata.annotations?.["k8s.io/initial-events-end"]}`);
    if (type === "BOOKMARK") break;
  }
  assert.deepEqual(seen, ["ADDED a", "BOOKMARK true"]);
  assert.throws(
    () => ground.api.watch(pods, { sendInitialEvents: true }, stop.signal),
    (error) => ground.api.statusOf(error).code === 422,
  );
  assert.throws(
    () => ground.api.watch(pods, { resourceVersion: "9000000000000000" }, stop.signal),
    (error) => ground.api.statusOf(error).code === 504,
  );
  assert.throws(
    () => ground.api.watch(pods, { resourceVersion: "x" }, stop.signal),
    (error) => ground.api.statusOf(error).code === 400,
  );
});

test("events and nodes are taken as their writers send them", async () => {
  await using ground = inProcess();
  const event = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: "a.1", namespace: "default" },
    involvedObject: { kind: "Pod", namespace: "default", name: "a" },
    reason: "Started",
    type: "Normal",
    count: 1,
    firstTimestamp: "2026-01-01T00:00:00Z",
    lastTimestamp: "2026-01-01T00:00:00Z",
    source: { component: "kubelet" },
  } as const;
  await ground.client.create(events, event as never, {}, none);
  assert.equal(
    (await ground.client.list(events, { fieldSelector: "involvedObject.name=a,involvedObject.kind=Pod" }, none)).items.length,
    1,
  );
  const node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n" },
    status: { capacity: { cpu: "2" }, conditions: [{ type: "Ready", status: "True" }] },
  } as const;
  const made = await ground.client.create(nodes, node as never, {}, none);
  assert.equal(made.status?.conditions?.length, 1);
});
