import assert from "node:assert/strict";
import { PassThrough, Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import {
  ApiException,
  ApisApi,
  CoordinationV1Api,
  CoreV1Api,
  Exec,
  Health,
  KubeConfig,
  type KubernetesObject,
  KubernetesObjectApi,
  Log,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  V1MicroTime,
  type V1Lease,
  type V1Pod,
  type V1Status,
  VersionApi,
  Watch,
} from "@kubernetes/client-node";
import { eventually } from "@peapod/kit";
import { startEngine } from "./engine-fixture.ts";
import { IMAGE } from "./pods.ts";

const namespace = "library";
const idleScript = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";

/** A pod as a program that uses the library writes it. */
function podOf(name: string, script: string, more: Partial<V1Pod["metadata"]> = {}): V1Pod {
  const container = { name: "main", image: IMAGE, command: ["sh", "-c", script] };
  return {
    metadata: { name, ...more },
    spec: { restartPolicy: "Never", terminationGracePeriodSeconds: 1, containers: [container] },
  };
}

function kubeConfigFrom(path: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(path);
  return config;
}

/** Waits for an ApiException with this code, whose body is the API's Status. */
async function refused(work: Promise<unknown>, code: number, reason: string): Promise<V1Status> {
  const cause = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(cause instanceof ApiException, `not refused: ${String(cause)}`);
  assert.equal(cause.code, code, cause.message);
  const status = (typeof cause.body === "string" ? JSON.parse(cause.body) : cause.body) as V1Status; // the API's own answer
  assert.deepEqual([status.kind, status.status, status.reason, status.code], ["Status", "Failure", reason, code]);
  return status;
}

const as = (type: string): ReturnType<typeof setHeaderOptions> => setHeaderOptions("Content-Type", type);

async function waitForPhase(core: CoreV1Api, name: string, phase: string): Promise<void> {
  await eventually(
    async () => {
      const pod = await core.readNamespacedPod({ name, namespace });
      assert.equal(pod.status?.phase, phase, JSON.stringify(pod.status));
    },
    { withinMs: 30_000, everyMs: 100 },
  );
}

test("the Kubernetes client library finds its way, and keeps objects", async (t) => {
  const config = kubeConfigFrom((await startEngine(t)).kubeconfig);
  const core = config.makeApiClient(CoreV1Api);
  await core.createNamespace({ body: { metadata: { name: namespace } } });

  await t.test("VersionApi, ApisApi, CoreV1Api and Health discover the server", async () => {
    assert.match((await config.makeApiClient(VersionApi).getCode()).gitVersion, /^v1\.\d+\./);
    const groups = await config.makeApiClient(ApisApi).getAPIVersions();
    assert.ok(groups.groups.some(({ name, preferredVersion }) => name === "coordination.k8s.io" && preferredVersion?.version === "v1"));
    const { resources } = await core.getAPIResources();
    assert.deepEqual(resources.find(({ name }) => name === "pods")?.shortNames, ["po"]);
    assert.ok((await config.makeApiClient(CoordinationV1Api).getAPIResources()).resources.some(({ kind }) => kind === "Lease"));
    assert.equal(await new Health(config).readyz({}), true);
    assert.equal(await new Health(config).livez({}), true);
  });

  await t.test("CoreV1Api creates, reads, replaces and deletes; a stale replace is a conflict", async () => {
    const made = await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "settings" }, data: { color: "red" } } });
    assert.ok(made.metadata?.creationTimestamp instanceof Date);
    const changed = { metadata: made.metadata, data: { color: "blue" } };
    const replaced = await core.replaceNamespacedConfigMap({ name: "settings", namespace, body: changed });
    assert.notEqual(replaced.metadata?.resourceVersion, made.metadata.resourceVersion);
    const status = await refused(core.replaceNamespacedConfigMap({ name: "settings", namespace, body: made }), 409, "Conflict");
    assert.match(status.message ?? "", /the object has been modified/);
    await core.createNamespacedSecret({ namespace, body: { metadata: { name: "key" }, stringData: { token: "open" } } });
    const secret = await core.readNamespacedSecret({ name: "key", namespace });
    assert.deepEqual([secret.type, secret.data], ["Opaque", { token: Buffer.from("open").toString("base64") }]);
    assert.equal((await core.deleteNamespacedSecret({ name: "key", namespace })).status, "Success");
    const gone = await refused(core.readNamespacedSecret({ name: "key", namespace }), 404, "NotFound");
    assert.deepEqual([gone.details?.name, gone.details?.kind], ["key", "secrets"]);
    await refused(core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "settings" } } }), 409, "AlreadyExists");
    const invalid = await refused(core.createNamespacedPod({ namespace, body: podOf("Not_A_Name", "true") }), 422, "Invalid");
    assert.equal(invalid.details?.causes?.[0]?.field, "metadata.name");
  });

  await t.test("CoreV1Api lists in pieces, by label and by field", async () => {
    for (const [index, tier] of ["front", "back", "back", "back", "back"].entries())
      await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: `item-${index}`, labels: { tier } } } });
    const names: string[] = [];
    let next: string | undefined;
    const sizes: number[] = [];
    do {
      const page = await core.listNamespacedConfigMap({
        namespace,
        labelSelector: "tier in (back)",
        limit: 3,
        ...(next === undefined ? {} : { _continue: next }),
      });
      names.push(...page.items.map(({ metadata }) => metadata?.name ?? ""));
      sizes.push(page.items.length);
      next = page.metadata?._continue;
    } while (next !== undefined && next !== "");
    assert.deepEqual(
      [names, sizes],
      [
        ["item-1", "item-2", "item-3", "item-4"],
        [3, 1],
      ],
    );
    const byField = await core.listNamespacedConfigMap({ namespace, fieldSelector: "metadata.name=item-0" });
    assert.deepEqual(
      byField.items.map(({ metadata }) => metadata?.labels),
      [{ tier: "front" }],
    );
    await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: "tier" });
    assert.deepEqual((await core.listNamespacedConfigMap({ namespace, labelSelector: "tier" })).items, []);
    await refused(core.listNamespacedConfigMap({ namespace, labelSelector: "=" }), 400, "BadRequest");
    const accounts = await core.listNamespacedServiceAccount({ namespace });
    assert.deepEqual(
      accounts.items.map(({ metadata }) => metadata?.name),
      ["default"],
    );
  });

  await t.test("KubernetesObjectApi handles any kind, found by discovery", async () => {
    const client = KubernetesObjectApi.makeApiClient(config);
    const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "generic", namespace }, data: { a: "1" } };
    const header = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "generic", namespace } };
    await client.create(object);
    await client.patch(
      { ...header, data: { b: "2" } } as KubernetesObject,
      undefined,
      undefined,
      "tester",
      undefined,
      PatchStrategy.MergePatch,
    );
    assert.deepEqual((await client.read<typeof object>(header)).data, { a: "1", b: "2" });
    const applying = client.patch(object, undefined, undefined, "tester", true, PatchStrategy.ServerSideApply);
    await refused(applying, 415, "UnsupportedMediaType"); // the guide says so
    const { items } = await client.list<typeof object>("v1", "ConfigMap", namespace);
    assert.ok(items.some(({ metadata }) => metadata.name === "generic"));
    assert.equal((await client.delete(header)).status, "Success");
    await refused(client.read(header), 404, "NotFound");
    const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "generic", namespace } };
    assert.equal((await client.create(lease)).kind, "Lease");
    await client.delete(lease);
    await assert.rejects(client.create({ ...lease, kind: "Nothing" }), /Unrecognized API version and kind/);
  });

  await t.test("CoordinationV1Api elects one of several who renew at once", async () => {
    const coordination = config.makeApiClient(CoordinationV1Api);
    const take = (holder: string, lease: V1Lease): Promise<V1Lease> =>
      coordination.replaceNamespacedLease({
        name: "leader",
        namespace,
        body: Object.assign(structuredClone(lease), {
          spec: { holderIdentity: holder, leaseDurationSeconds: 15, renewTime: new V1MicroTime() },
        }),
      });
    const acquireTime = new V1MicroTime("2026-01-02T03:04:05.678Z");
    const made = await coordination.createNamespacedLease({
      namespace,
      body: { metadata: { name: "leader" }, spec: { holderIdentity: "a", leaseDurationSeconds: 15, acquireTime } },
    });
    assert.equal(String(made.spec?.acquireTime), "2026-01-02T03:04:05.678000Z"); // the library leaves it text
    const outcomes = await Promise.allSettled(["a", "b", "c"].map((holder) => take(holder, made)));
    const won = outcomes.filter(({ status }) => status === "fulfilled");
    assert.equal(won.length, 1);
    for (const outcome of outcomes)
      if (outcome.status === "rejected") await refused(Promise.reject(outcome.reason as Error), 409, "Conflict");
    const now = await coordination.readNamespacedLease({ name: "leader", namespace });
    assert.equal((await take("b", now)).spec?.holderIdentity, "b");
  });

  await t.test("CoreV1Api deletes a namespace with all that is in it", async () => {
    await core.deleteNamespace({ name: namespace });
    await eventually(() => refused(core.readNamespace({ name: namespace }), 404, "NotFound"), { withinMs: 10_000 });
  });
});

/** What a command in the container said, and the Status that ended it. */
async function execute(
  config: KubeConfig,
  command: readonly string[],
  given: { input?: string; tty?: boolean } = {},
): Promise<{ stdout: string; stderr: string; status: V1Status }> {
  const { promise, resolve } = Promise.withResolvers<V1Status>();
  const stdout = Object.assign(new PassThrough(), given.tty === true ? { columns: 97, rows: 31 } : {});
  const stderr = new PassThrough();
  const stdin = given.input === undefined ? null : Readable.from([Buffer.from(given.input)]);
  const errors = given.tty === true ? null : stderr;
  const said = Promise.all([buffer(stdout), given.tty === true ? Buffer.alloc(0) : buffer(stderr)]);
  await new Exec(config).exec(namespace, "worker", "main", [...command], stdout, errors, stdin, given.tty ?? false, resolve);
  const status = await promise;
  const [out, err] = await said;
  return { stdout: out.toString(), stderr: err.toString(), status };
}

test("the Kubernetes client library runs pods, follows them and talks to them", async (t) => {
  const config = kubeConfigFrom((await startEngine(t)).kubeconfig);
  const core = config.makeApiClient(CoreV1Api);
  await core.createNamespace({ body: { metadata: { name: namespace } } });
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const seen: string[] = [];
  const informer = makeInformer<V1Pod>(config, path, () => core.listNamespacedPod({ namespace }));
  for (const verb of ["add", "update", "delete"] as const) informer.on(verb, ({ metadata }) => seen.push(`${verb} ${metadata?.name}`));
  const failures: unknown[] = [];
  informer.on("error", (cause) => failures.push(cause));
  await informer.start();
  t.after(() => informer.stop());
  const { metadata: before } = await core.listNamespacedPod({ namespace });
  const script = `for i in 1 2 3; do echo line $i; done; until [ -e /tmp/end ]; do sleep 0.1; done; echo last; exit 3`;
  const made = await core.createNamespacedPod({ namespace, body: podOf("worker", script, { labels: { app: "worker" } }) });
  assert.equal(made.status?.phase, "Pending");
  await waitForPhase(core, "worker", "Running");

  await t.test("makeInformer() sees a pod added and updated", async () => {
    await eventually(() => assert.ok(seen.includes("update worker")), { withinMs: 5_000 });
    assert.equal(seen[0], "add worker");
    await eventually(() => assert.equal(informer.get("worker", namespace)?.status?.phase, "Running"), { withinMs: 5_000 });
  });

  await t.test("Watch tells what happened since a resource version", async () => {
    const phases: string[] = [];
    const ended = Promise.withResolvers<unknown>();
    const query = { resourceVersion: before?.resourceVersion, labelSelector: "app=worker", allowWatchBookmarks: true };
    const see = (type: string, pod: V1Pod): void => void (type !== "BOOKMARK" && phases.push(`${type} ${pod.status?.phase}`));
    const request = await new Watch(config).watch(path, query, see, ended.resolve);
    await eventually(() => assert.equal(phases.at(-1), "MODIFIED Running"), { withinMs: 5_000 });
    assert.equal(phases[0], "ADDED Pending");
    request.abort();
    await ended.promise;
    const limited = Promise.withResolvers<unknown>();
    await new Watch(config).watch(path, { timeoutSeconds: 1, resourceVersion: "0" }, () => {}, limited.resolve);
    assert.equal(await limited.promise, null); // the server's end of a watch is no error
    const future = Promise.withResolvers<unknown>();
    await new Watch(config).watch(path, { resourceVersion: "not a number" }, () => {}, future.resolve);
    assert.equal(((await future.promise) as { statusCode?: number }).statusCode, 400);
  });

  await t.test("CoreV1Api patches a pod in each of the three ways", async () => {
    const at = { name: "worker", namespace };
    await core.patchNamespacedPod({ ...at, body: { metadata: { labels: { merge: "1" } } } }, as(PatchStrategy.MergePatch));
    await core.patchNamespacedPod({ ...at, body: { metadata: { labels: { strategic: "2" } } } }, as(PatchStrategy.StrategicMergePatch));
    const add = [{ op: "add", path: "/metadata/labels/json", value: "3" }];
    const { metadata } = await core.patchNamespacedPod({ ...at, body: add }, as(PatchStrategy.JsonPatch));
    assert.deepEqual(metadata?.labels, { app: "worker", merge: "1", strategic: "2", json: "3" });
    const gone = [{ op: "remove", path: "/metadata/labels/none" }];
    await refused(core.patchNamespacedPod({ ...at, body: gone }, as(PatchStrategy.JsonPatch)), 422, "Invalid");
  });

  await t.test("Exec carries stdin, stdout, stderr and the exit code", async () => {
    const said = await execute(config, ["sh", "-c", "cat; echo problem >&2; exit 7"], { input: "typed\n" });
    assert.deepEqual(
      [said.stdout, said.stderr, said.status.status, said.status.reason],
      ["typed\n", "problem\n", "Failure", "NonZeroExitCode"],
    );
    assert.deepEqual(said.status.details?.causes, [{ reason: "ExitCode", message: "7" }]);
    assert.equal((await execute(config, ["true"])).status.status, "Success");
    assert.equal((await execute(config, ["no-such-program"])).status.status, "Failure");
    const terminal = await execute(config, ["sh", "-c", "sleep 0.3; stty size"], { tty: true });
    assert.match(terminal.stdout, /^31 97\r\n$/);
  });

  await t.test("Log follows a container to its end", async () => {
    const stream = new PassThrough();
    await new Log(config).log(namespace, "worker", "main", stream, { follow: true });
    await execute(config, ["touch", "/tmp/end"]);
    assert.equal((await buffer(stream)).toString(), "line 1\nline 2\nline 3\nlast\n");
    assert.equal(await core.readNamespacedPodLog({ name: "worker", namespace, tailLines: 1 }), "last\n");
    await waitForPhase(core, "worker", "Failed");
    const { status } = await core.readNamespacedPod({ name: "worker", namespace });
    const terminated = status?.containerStatuses?.[0]?.state?.terminated;
    assert.deepEqual([terminated?.exitCode, terminated?.finishedAt instanceof Date], [3, true]);
  });

  await t.test("CoreV1Api lists a pod's events, oldest first", async () => {
    const { items } = await core.listNamespacedEvent({ namespace, fieldSelector: "involvedObject.name=worker,involvedObject.kind=Pod" });
    const reasons = items.map(({ reason }) => reason ?? "");
    for (const reason of ["Scheduled", "Created", "Started"]) assert.ok(reasons.includes(reason), reasons.join());
    assert.ok(items.every(({ involvedObject }) => involvedObject.uid === made.metadata?.uid));
  });

  await t.test("CoreV1Api deletes a pod gracefully, or at once; the informer sees it go", async () => {
    await core.createNamespacedPod({ namespace, body: podOf("patient", `trap 'sleep 0.5; exit 0' TERM; ${idleScript.slice(20)}`) });
    await waitForPhase(core, "patient", "Running");
    const going = (await core.deleteNamespacedPod({ name: "patient", namespace, gracePeriodSeconds: 20 })) as V1Pod;
    assert.deepEqual([going.metadata?.deletionTimestamp instanceof Date, going.metadata?.deletionGracePeriodSeconds], [true, 20]);
    await core.deleteNamespacedPod({
      name: "worker",
      namespace,
      body: { gracePeriodSeconds: 0, preconditions: { uid: made.metadata?.uid ?? "" } },
    });
    await eventually(
      () => assert.deepEqual(seen.filter((line) => line.startsWith("delete")).toSorted(), ["delete patient", "delete worker"]),
      {
        withinMs: 15_000,
      },
    );
    assert.deepEqual(failures, []);
  });
});
