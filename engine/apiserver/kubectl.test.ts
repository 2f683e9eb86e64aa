import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, silentLogger, systemClock } from "@peapod/kit";
import { pods } from "@peapod/api";
import { runNamespaceController } from "../controllers/namespace-controller.ts";
import { clientBinaries, kubectlBackground, runClient, type Serving, serving } from "./http/serving.fixture.ts";
import { StubNodeServer } from "./subresources/stub-node-server.fixture.ts";

const manifest = (image: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec:
  containers:
  - { name: main, image: "${image}", ports: [{ containerPort: 80 }], env: [{ name: A, value: "1" }, { name: B, value: "2" }] }
  - { name: side, image: "busybox:1" }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { image: "${image}" }
`;

const node1 = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "box" },
  status: {
    capacity: { cpu: "2", memory: "4Gi", pods: "110" },
    conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }],
    addresses: [{ type: "InternalIP", address: "10.0.0.1" }],
    nodeInfo: { kubeletVersion: "v1.36.0", osImage: "Debian", kernelVersion: "6.1", containerRuntimeVersion: "peapod://1" },
  },
};

const event1 = {
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: "web.1" },
  involvedObject: { kind: "Pod", namespace: "default", name: "web" },
  reason: "Started",
  type: "Normal",
  message: "Started container main",
  source: { component: "kubelet" },
  firstTimestamp: "2026-01-01T00:00:00Z",
  lastTimestamp: "2026-01-01T00:00:00Z",
};

for (const version of ["v32", "v35"] as const) {
  const binary = clientBinaries(version).kubectl;

  void test(`kubectl ${version} applies, shows, changes and deletes`, async (context) => {
    const node = new StubNodeServer();
    await using served = await serving({ nodeServer: node });
    const run = async (args: string[], input?: string): Promise<string> => {
      const result = await runClient(binary, served, args, input);
      assert.equal(result.exitCode, 0, `kubectl ${args.join(" ")}: ${result.stdout.slice(0, 1_000)}${result.stderr}`);
      return result.stdout;
    };
    const refused = async (args: string[], want: RegExp, input?: string): Promise<void> => {
      const result = await runClient(binary, served, args, input);
      assert.notEqual(result.exitCode, 0, `kubectl ${args.join(" ")} went well`);
      assert.match(result.stderr, want);
    };

    await context.test("apply, twice and with a change", async () => {
      assert.equal(await run(["apply", "-f", "-"], manifest("nginx:1")), "pod/web created\nconfigmap/settings created\n");
      assert.equal(await run(["apply", "-f", "-"], manifest("nginx:1")), "pod/web unchanged\nconfigmap/settings unchanged\n");
      assert.equal(await run(["get", "pod", "web", "-o", "jsonpath={.spec.containers[0].image} {.metadata.generation}"]), "nginx:1 1");
      await refused(
        ["apply", "-f", "-"],
        /Pod "web" is invalid: spec: Forbidden: pod updates may not change fields other than/,
        manifest("nginx:1").replace('value: "2"', 'value: "3"'),
      );
      assert.equal(await run(["apply", "-f", "-"], manifest("nginx:2")), "pod/web configured\nconfigmap/settings configured\n");
      assert.equal(
        await run(["get", "pod", "web", "-o", "jsonpath={.spec.containers[*].image} {.metadata.generation}"]),
        "nginx:2 busybox:1 2",
      );
    });

    await context.test("get in its forms", async () => {
      assert.match(await run(["get", "pods"]), /^NAME {3}READY {3}STATUS {4}RESTARTS {3}AGE\nweb {4}0\/2 {5}Pending {3}0 {10}\d+s\n$/);
      assert.match(
        await run(["get", "pods", "-o", "wide"]),
        /AGE {3}IP {7}NODE {5}NOMINATED NODE {3}READINESS GATES\nweb .* <none> {3}<none> {3}<none> {11}<none>\n$/,
      );
      assert.match(
        await run(["get", "pod,cm", "-A"]),
        /default {5}pod\/web .*\n\nNAMESPACE {3}NAME {17}DATA {3}AGE\ndefault {5}configmap\/settings {3}1 /s,
      );
      assert.match(
        await run(["get", "pod", "web", "-o", "yaml"]),
        /^apiVersion: v1\nkind: Pod\n.*restartPolicy: Always\n.*phase: Pending\n/s,
      );
      assert.equal((JSON.parse(await run(["get", "pods", "-o", "json"])) as { kind: string }).kind, "List");
      assert.equal(await run(["get", "pods", "-l", "app in (web)", "--field-selector", "status.phase=Pending", "-o", "name"]), "pod/web\n");
      assert.match(await run(["get", "ns"]), /default +Active +\d+s/);
      await refused(["get", "pod", "nope"], /Error from server \(NotFound\): pods "nope" not found/);
    });

    await context.test("describe", async () => {
      const text = await run(["describe", "pod", "web"]);
      assert.match(text, /Name: +web\nNamespace: +default\n/);
      assert.match(text, /Environment:\n +A: +1\n +B: +2\n/);
      assert.match(text, /Events: +<none>\n/);
    });

    await context.test("nodes and events", async () => {
      await run(["create", "-f", "-"], JSON.stringify(node1));
      assert.match(
        await run(["get", "nodes", "-o", "wide"]),
        /box +Ready +<none> +\d+s +v1\.36\.0 +10\.0\.0\.1 +<none> +Debian +6\.1 +peapod:\/\/1\n$/,
      );
      assert.match(
        await run(["describe", "node", "box"]),
        /Conditions:\n +Type +Status .*\n.*\n +Ready +True .*Non-terminated Pods: +\(0 in total\)/s,
      );
      const uid = await run(["get", "pod", "web", "-o", "jsonpath={.metadata.uid}"]);
      await run(["create", "-f", "-"], JSON.stringify({ ...event1, involvedObject: { ...event1.involvedObject, uid } }));
      assert.match(
        await run(["get", "events"]),
        /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n\S+ +Normal +Started +pod\/web +Started container main\n$/,
      );
      assert.match(await run(["describe", "pod", "web"]), /Events:\n.*Normal +Started +\S+ +kubelet +Started container main\n$/s);
    });

    await context.test("edit", async () => {
      const edited = await runClient("sh", served, [
        "-c",
        `KUBE_EDITOR='sed -i s/image:.nginx:2/image:\\ nginx:3/' exec ${binary} edit pod web`,
      ]);
      assert.deepEqual([edited.exitCode, edited.stdout], [0, "pod/web edited\n"], edited.stderr);
      assert.equal(await run(["get", "pod", "web", "-o", "jsonpath={.spec.containers[0].image}"]), "nginx:3");
    });

    await context.test("patch, label, annotate, replace", async () => {
      const value = () => run(["get", "pod", "web", "-o", "jsonpath={.metadata.labels.v}"]);
      await run(["patch", "pod", "web", "-p", '{"metadata":{"labels":{"v":"1"}}}']);
      assert.equal(await value(), "1");
      await run(["patch", "pod", "web", "--type=merge", "-p", '{"metadata":{"labels":{"v":"2"}}}']);
      assert.equal(await value(), "2");
      await run(["patch", "pod", "web", "--type=json", "-p", '[{"op":"replace","path":"/metadata/labels/v","value":"3"}]']);
      assert.equal(await value(), "3");
      await run(["label", "pod", "web", "v-"]);
      assert.equal(await value(), "");
      await run(["annotate", "cm", "settings", "note=hi"]);
      const stale = await run(["get", "cm", "settings", "-o", "yaml"]);
      assert.equal(await run(["replace", "-f", "-"], stale.replace("note: hi", "note: there")), "configmap/settings replaced\n");
      await refused(
        ["replace", "-f", "-"],
        /the object has been modified; please apply your changes to the latest version and try again/,
        stale,
      );
      await refused(["apply", "--server-side", "-f", "-"], /server-side apply is not supported here/, manifest("nginx:2"));
    });

    await context.test("create, with and without mistakes", async () => {
      await run(["create", "namespace", "team"]);
      await run(["create", "configmap", "one", "-n", "team", "--from-literal=a=1", "--from-literal=b=ü"]);
      await run(["create", "secret", "generic", "two", "-n", "team", "--from-literal=k=v"]);
      await run(["create", "serviceaccount", "three", "-n", "team"]);
      assert.equal(await run(["get", "cm", "one", "-n", "team", "-o", "jsonpath={.data}"]), '{"a":"1","b":"ü"}');
      assert.match(await run(["get", "secret", "two", "-n", "team"]), /two +Opaque +1 /);
      assert.equal(await run(["get", "secret", "two", "-n", "team", "-o", "jsonpath={.data.k}"]), "dg==");
      await refused(
        ["create", "-f", "-"],
        /strict decoding error: unknown field "spec\.containers\[0\]\.imge"/,
        '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"bad"},"spec":{"containers":[{"name":"a","imge":"x"}]}}',
      );
      const warned = await runClient(
        binary,
        served,
        ["create", "--validate=warn", "-f", "-"],
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"odd"},"dta":{}}',
      );
      assert.match(warned.stderr, /^Warning: unknown field "dta"$/m);
      await refused(
        ["create", "-f", "-", "-n", "nope"],
        /namespaces "nope" not found/,
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}',
      );
      assert.equal(await run(["create", "cm", "dry", "--dry-run=server", "-o", "name"]), "configmap/dry\n");
      await refused(["get", "cm", "dry"], /not found/);
    });

    await context.test("explain, api-resources, version, auth can-i", async () => {
      assert.match(await run(["explain", "pod.spec.containers.image"]), /FIELD: image <string>/);
      assert.match(await run(["explain", "lease.spec", "--recursive"]), /holderIdentity\t<string>/);
      assert.match(await run(["api-resources", "-o", "wide"]), /leases +coordination\.k8s\.io\/v1 +true +Lease/);
      assert.match(await run(["version"]), /Server Version: v1\.36\.0\+peapod/);
      assert.equal(await run(["auth", "can-i", "create", "pods"]), "yes\n");
      assert.equal(await run(["get", "--raw", "/readyz"]), "ok");
    });

    await context.test("logs", async () => {
      await refused(["logs", "web", "-c", "main"], /waiting to start/);
      await run(["patch", "pod", "web", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Running"}}']);
      served.ground.api.delete(pods, { namespace: "default", name: "web" }, {});
      await run(
        ["create", "-f", "-"],
        '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"nodeName":"n","containers":[{"name":"main","image":"a"},{"name":"side","image":"b"}]}}',
      );
      assert.equal(
        await run(["logs", "web", "-c", "side", "--tail=10", "--timestamps"]),
        "line 1 of side\nline 2 of side\nline 3 of side\n",
      );
      assert.deepEqual(node.logRequests.at(-1), { container: "side", follow: false, previous: false, timestamps: true, tailLines: 10 });
      await refused(["logs", "web", "-c", "nope"], /container nope is not valid for pod web/);
      await refused(["logs", "web", "-c", "main", "-p"], /previous terminated container "main" in pod "web" not found/);
      const follow = kubectlBackground(binary, served, ["logs", "-f", "web", "-c", "main"]);
      await eventually(() => follow.output().includes("line 6 of main"), { withinMs: 5_000 });
      await follow.stop();
    });

    await context.test("exec", async () => {
      assert.equal(await run(["exec", "-i", "web", "-c", "main", "--", "cat"], "hello\n".repeat(20_000)), "hello\n".repeat(20_000));
      const failed = await runClient(binary, served, ["exec", "web", "-c", "main", "--", "exit", "3"]);
      assert.deepEqual([failed.exitCode, failed.stderr], [3, "bye\ncommand terminated with exit code 3\n"]);
      await refused(["exec", "web", "-c", "main", "--", "missing"], /executable file not found/);
      await refused(["exec", "web", "-c", "nope", "--", "cat"], /container nope is not valid for pod web/);
      assert.equal((await run(["exec", "web", "-c", "main", "--", "flood", "5000000"])).length, 5_000_000);
      const asBefore130 = ["KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", binary, "exec", "web", "-c", "main", "--", "cat"];
      const spdy = await runClient("/usr/bin/env", served, asBefore130);
      assert.equal(
        spdy.stderr,
        "Error from server (BadRequest): exec and cp need a WebSocket (v5.channel.k8s.io or v4.channel.k8s.io), which kubectl speaks from 1.30 on: use a newer kubectl, or 1.29 with KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true\n",
      );
      const sleeping = kubectlBackground(binary, served, ["exec", "web", "-c", "main", "--", "sleep"]);
      await eventually(() => node.running === 1, { withinMs: 5_000 });
      await sleeping.stop();
      await eventually(() => node.running === 0, { withinMs: 5_000 });
    });

    await context.test("get -w, wait, delete", async () => {
      await watchAndDelete(binary, served, run);
    });
  });
}

async function watchAndDelete(binary: string, served: Serving, run: (args: string[]) => Promise<string>): Promise<void> {
  const stop = new AbortController();
  const controller = runNamespaceController({ client: served.ground.client, clock: systemClock, log: silentLogger }, stop.signal);
  const watch = kubectlBackground(binary, served, ["get", "pods", "-w"]);
  const waiting = kubectlBackground(binary, served, ["wait", "--for=condition=Ready", "pod/web", "--timeout=10s"]);
  const gone = kubectlBackground(binary, served, ["wait", "--for=delete", "pod/web", "--timeout=10s"]);
  await eventually(() => /web +0\/2 +Pending/.test(watch.output()), { withinMs: 5_000 });
  const status = {
    phase: "Running",
    conditions: [{ type: "Ready", status: "True" }],
    containerStatuses: ["main", "side"].map((name) => ({
      name,
      ready: true,
      restartCount: 0,
      image: "a",
      imageID: "",
      state: { running: { startedAt: new Date().toISOString() } },
    })),
  };
  served.ground.api.patch(pods, { namespace: "default", name: "web" }, { type: "merge", body: { status } }, { subresource: "status" });
  await eventually(() => /web +2\/2 +Running +0 /.test(watch.output()), { withinMs: 5_000 });
  await eventually(() => waiting.output() === "pod/web condition met\n", { withinMs: 5_000 });
  assert.match(await run(["delete", "pod", "web", "--wait=false"]), /^pod "web" deleted/);
  await eventually(() => /web +2\/2 +Terminating/.test(watch.output()), { withinMs: 5_000 });
  served.ground.api.delete(pods, { namespace: "default", name: "web" }, { gracePeriodSeconds: 0 });
  await eventually(() => gone.output() === "pod/web condition met\n", { withinMs: 5_000 });
  assert.match(await run(["delete", "ns", "team"]), /^namespace "team" deleted/);
  await Promise.all([watch.stop(), waiting.stop(), gone.stop()]);
  assert.match(await run(["delete", "cm", "--all"]), /configmap "settings" deleted/);
  stop.abort();
  await controller;
}
