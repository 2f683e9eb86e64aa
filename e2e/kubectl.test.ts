import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { startEngine } from "./engine-fixture.ts";
import { assertGolden } from "./golden.ts";
import { type Kubectl, kubectlOf, versions } from "./kubectl-runner.ts";

/** With everything that describe has words for. No token of the service account: there is none here. */
const web = (change: { greeting?: string; app?: string; plain?: string; image?: string } = {}): string => `
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { greeting: ${change.greeting ?? "hello"} }
---
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: { app: ${change.app ?? "web"}, tier: front }
  annotations: { example.com/note: a note }
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  containers:
    - name: server
      image: ${change.image ?? "apt.local/busybox"}
      imagePullPolicy: IfNotPresent
      command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]
      ports: [{ name: http, containerPort: 8080 }]
      env:
        - { name: PLAIN, value: ${change.plain ?? "plain value"} }
        - { name: GREETING, valueFrom: { configMapKeyRef: { name: settings, key: greeting } } }
        - { name: POD_IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
      envFrom: [{ configMapRef: { name: settings }, prefix: S_ }]
      resources: { limits: { cpu: 500m, memory: 64Mi }, requests: { cpu: 100m, memory: 32Mi } }
      volumeMounts: [{ name: data, mountPath: /data }, { name: config, mountPath: /config, readOnly: true }]
    - name: helper
      image: apt.local/busybox
      imagePullPolicy: IfNotPresent
      command: [sleep]
      args: ["3600"]
  volumes:
    - { name: data, emptyDir: { medium: Memory, sizeLimit: 1Mi } }
    - { name: config, configMap: { name: settings } }
`;

test("kubectl manages objects as on a cluster", async (t) => {
  const engine = await startEngine(t);
  for (const version of versions) {
    await t.test(version, async (inner) => {
      const kubectl = await kubectlOf(inner, engine, version);
      const node = await kubectl.says(["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]);
      await inner.test("apply, again, with a change, and with one that may not be", () => applies(kubectl));
      await inner.test("get in its forms", () => gets(kubectl, node));
      await inner.test("describe", () => describes(kubectl, node));
      await inner.test("label, annotate, patch, replace, edit, diff", () => changes(kubectl));
      await inner.test("create, from files and wrongly", () => creates(kubectl, (name, content) => engine.file(name, content)));
      await inner.test("auth, explain, api-resources, and what there is not", () => discovers(kubectl));
      await kubectl.says(["delete", "pod", "--all", "--now"]);
    });
  }
});

async function applies(kubectl: Kubectl): Promise<void> {
  const apply = (manifest: string) => kubectl.says(["apply", "-f", "-"], manifest);
  assert.equal(await apply(web()), "configmap/settings created\npod/web created\n");
  assert.equal(await kubectl.says(["wait", "--for=condition=Ready", "--timeout=20s", "pod/web"]), "pod/web condition met\n");
  assert.equal(await apply(web()), "configmap/settings unchanged\npod/web unchanged\n");
  assert.equal(await apply(web({ greeting: "bye" })), "configmap/settings configured\npod/web unchanged\n");
  assert.equal(await apply(web({ greeting: "bye", app: "other" })), "configmap/settings unchanged\npod/web configured\n");
  assert.equal(await kubectl.says(["get", "pod", "web", "-o", "jsonpath={.metadata.labels.app}"]), "other");
  await kubectl.refuses(
    ["apply", "-f", "-"],
    /^The Pod "web" is invalid: spec: Forbidden: pod updates may not change fields other than `spec\.containers\[\*\]\.image`,`spec\.initContainers\[\*\]\.image`,`spec\.activeDeadlineSeconds`,`spec\.tolerations` \(only additions to existing tolerations\),`spec\.terminationGracePeriodSeconds` \(allow it to be set to 1 if it was previously negative\)\n/,
    web({ greeting: "bye", plain: "other" }),
  );
  assert.equal(await apply(web()), "configmap/settings configured\npod/web configured\n");
}

async function gets(kubectl: Kubectl, node: string): Promise<void> {
  const get = (...args: readonly string[]) => kubectl.says(["get", ...args]);
  const known = { node, namespace: kubectl.namespace };
  assertGolden(await get("pods"), "get-pods", known);
  assertGolden(await get("pods", "-o", "wide"), "get-pods-wide", known);
  assertGolden(await get("pods", "--all-namespaces"), "get-pods-all", known);
  assertGolden(await get("pods,configmaps", "--show-labels", "-L", "tier"), "get-several", known);
  assertGolden(await get("pod", "web", "-o", "yaml"), "get-pod-yaml", known);
  assertGolden(await get("nodes", "-o", "wide"), "get-nodes-wide", known);
  assertGolden(await get("namespaces", "default", "kube-system", kubectl.namespace), "get-namespaces", known);
  assert.equal(await get("pods", "-o", "name"), "pod/web\n");
  assert.equal(await get("pods", "-l", "app=web,tier in (front, back)", "-o", "name"), "pod/web\n");
  assert.equal(await get("pods", "-l", "app!=web", "-o", "name"), "");
  assert.equal(await get("pods", "--field-selector", `status.phase=Running,spec.nodeName=${node}`, "-o", "name"), "pod/web\n");
  assert.equal(await get("pods", "--field-selector", "status.phase!=Running", "-o", "name"), "");
  assert.equal(await get("pods", "-o", "custom-columns=NAME:.metadata.name,PHASE:.status.phase"), "NAME   PHASE\nweb    Running\n");
  assert.equal(await get("pods", "-o", "go-template={{range .items}}{{.metadata.name}}{{end}}"), "web");
  await kubectl.refuses(["get", "pod", "nope"], /^Error from server \(NotFound\): pods "nope" not found\n$/);
  await kubectl.refuses(["get", "pods", "--field-selector", "spec.nope=1"], /field label not supported: spec\.nope/);
  assert.equal((await kubectl.outcome(["get", "secrets"])).stderr, `No resources found in ${kubectl.namespace} namespace.\n`);
}

async function describes(kubectl: Kubectl, node: string): Promise<void> {
  const known = { node, namespace: kubectl.namespace };
  const portName = kubectl.version === "v32" ? "" : " (http)"; // newer ones name the port
  assertGolden(await kubectl.says(["describe", "pod", "web", "--show-events=false"]), "describe-pod", { ...known, portName });
  assertGolden(withoutMachine(await kubectl.says(["describe", "node", node])), "describe-node", known);
  assertGolden(await kubectl.says(["describe", "configmap", "settings"]), "describe-configmap", known);
  // A pod of one container, so that what happens to it happens in one order.
  await kubectl.says(["run", "one", "--image=apt.local/busybox", "--image-pull-policy=IfNotPresent", "--command", "--", "sleep", "60"]);
  await kubectl.says(["wait", "--for=condition=Ready", "--timeout=20s", "pod/one"]);
  const described = await eventually(
    async () => {
      const text = await kubectl.says(["describe", "pod", "one"]);
      return / Started /.test(text.slice(text.indexOf("Events:"))) && text; // events come when they come, on a cluster too
    },
    { withinMs: 5_000 },
  );
  assertGolden(described.slice(described.indexOf("Events:")), `describe-events-${kubectl.version}`, known);
  assertGolden(await kubectl.says(["events", "--for", "pod/one"]), "events", known);
  assertGolden(await kubectl.says(["get", "events", "--field-selector", "involvedObject.name=one"]), "get-events", known);
  await kubectl.says(["delete", "pod", "one", "--now"]);
}

/** Without the lines that the machine decides the number of: huge pages, disks, and what happened to the node before. */
function withoutMachine(described: string): string {
  return described
    .split("\n")
    .filter((line) => !/^ +(hugepages-|ephemeral-storage)/.test(line))
    .join("\n")
    .replace(/Events:[^]*/, "");
}

async function changes(kubectl: Kubectl): Promise<void> {
  const { says, refuses } = kubectl;
  const label = (name: string) => says(["get", "pod", "web", "-o", `jsonpath={.metadata.labels.${name}}`]);
  assert.equal(await says(["label", "pod", "web", "color=blue"]), "pod/web labeled\n");
  await refuses(["label", "pod", "web", "color=red"], /'color' already has a value \(blue\), and --overwrite is false/);
  assert.equal(await says(["label", "pod", "web", "--overwrite", "color=red"]), "pod/web labeled\n");
  assert.equal(await label("color"), "red");
  assert.equal(await says(["label", "pod", "web", "color-"]), "pod/web unlabeled\n");
  assert.equal(await label("color"), "");
  assert.equal(await says(["annotate", "pod", "web", "example.com/note-"]), "pod/web annotated\n");
  for (const [type, patch] of [
    ["strategic", '{"metadata":{"labels":{"by":"strategic"}},"spec":{"containers":[{"name":"server","image":"apt.local/busybox"}]}}'],
    ["merge", '{"metadata":{"labels":{"by":"merge"}}}'],
    ["json", '[{"op":"replace","path":"/metadata/labels/by","value":"json"}]'],
  ] as const) {
    assert.equal(await says(["patch", "pod", "web", "--type", type, "-p", patch]), "pod/web patched\n");
    assert.equal(await label("by"), type);
  }
  assert.equal(await says(["get", "pod", "web", "-o", "jsonpath={.spec.containers[*].name}"]), "server helper");
  const stale = await says(["get", "configmap", "settings", "-o", "yaml"]);
  assert.equal(await says(["replace", "-f", "-"], stale.replace("greeting: hello", "greeting: replaced")), "configmap/settings replaced\n");
  await refuses(["replace", "-f", "-"], /Conflict|the object has been modified; please apply your changes to the latest version/, stale);
  const edit = (change: string) => kubectl.script(`KUBE_EDITOR="sed -i ${change}" $KUBECTL edit configmap settings`);
  assert.equal((await edit("s/replaced/edited/")).stdout, "configmap/settings edited\n");
  assert.equal((await edit("s/nothing/else/")).stderr, "Edit cancelled, no changes made.\n");
  assert.equal(await says(["get", "configmap", "settings", "-o", "jsonpath={.data.greeting}"]), "edited");
  const wrong = await kubectl.script(`KUBE_EDITOR="sed -i 's/restartPolicy: Always/restartPolicy: Never/'" $KUBECTL edit pod web`);
  assert.match(wrong.stderr, /^error: pods "web" is invalid\n/);
  const diff = await kubectl.outcome(["diff", "-f", "-"], web());
  assert.equal(diff.exitCode, 1, diff.stderr);
  assert.match(diff.stdout, /^- {2}greeting: edited\n\+ {2}greeting: hello$/m);
  await refuses(["apply", "--server-side", "-f", "-"], /server-side apply is not supported here/, web());
  assert.equal(await says(["get", "configmap", "settings", "-o", "jsonpath={.data.greeting}"]), "edited", "diff changes nothing");
}

async function creates(kubectl: Kubectl, file: (name: string, content: string) => string): Promise<void> {
  const { says, refuses } = kubectl;
  const path = file(`${kubectl.version}/motto.txt`, "one\ntwo\n");
  assert.equal(await says(["create", "configmap", "files", `--from-file=${path}`, "--from-literal=a=b"]), "configmap/files created\n");
  assert.equal(await says(["get", "configmap", "files", "-o", "jsonpath={.data}"]), '{"a":"b","motto.txt":"one\\ntwo\\n"}');
  assert.equal(await says(["create", "secret", "generic", "key", "--from-literal=k=v"]), "secret/key created\n");
  assertGolden(await says(["get", "configmaps,secrets,serviceaccounts"]), "get-kinds");
  assertGolden(await says(["describe", "secret", "key"]), "describe-secret", { namespace: kubectl.namespace });
  await refuses(["create", "configmap", "files"], /configmaps "files" already exists/);
  await refuses(
    ["create", "-f", "-"],
    /strict decoding error: unknown field "spec\.containers\[0\]\.imge"/,
    '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"bad"},"spec":{"containers":[{"name":"a","image":"x","imge":"x"}]}}',
  );
  await refuses(
    ["create", "-f", "-"],
    /The Pod "bad" is invalid: spec\.containers\[0\]\.image: Required value/,
    '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"bad"},"spec":{"containers":[{"name":"a"}]}}',
  );
  assert.equal(await says(["create", "configmap", "dry", "--dry-run=server", "-o", "name"]), "configmap/dry\n");
  await refuses(["get", "configmap", "dry"], /not found/);
  assert.match(await says(["delete", "configmap/files", "secret/key"]), /^configmap "files" deleted.*\nsecret "key" deleted.*\n$/);
}

async function discovers(kubectl: Kubectl): Promise<void> {
  const { says, refuses } = kubectl;
  assert.equal(await says(["auth", "can-i", "delete", "pods"]), "yes\n");
  const explained = await says(["explain", "pod.spec.containers"]);
  assert.match(explained, /^KIND: {7}Pod\nVERSION: {4}v1\n\nFIELD: containers <\[\]Container>\n/);
  assert.match(explained, /^ {2}name\t<string> -required-$/m);
  assert.match(explained, /^ {2}imagePullPolicy\t<string>$/m);
  assertGolden(await says(["api-resources"]), "api-resources");
  assert.match(await says(["version"]), /^Server Version: v1\.36\./m);
  await refuses(["get", "deployments"], /the server doesn't have a resource type "deployments"/);
  await refuses(["top", "pod"], /Metrics API not available/);
}
