import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "../fields/decode.ts";
import { applyDefaults } from "./defaults.ts";
import { defaultPullPolicy } from "../pod/defaults-pod.ts";
import type { Container, Namespace, Node, Pod, PodSpec, Secret } from "../generated.ts";

const pod = (spec: Partial<PodSpec> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "x", namespace: "default" },
  spec: { containers: [{ name: "a", image: "nginx:1" }], ...spec },
});
const specOf = (spec: Partial<PodSpec> = {}): PodSpec => applyDefaults(pod(spec)).spec ?? assert.fail("no spec");
const firstOf = (container: Partial<Container>): Container =>
  specOf({ containers: [{ name: "a", image: "nginx:1", ...container }] }).containers[0] ?? assert.fail("no container");

test("applyDefaults() fills in a pod as a plain cluster does", () => {
  assert.deepEqual(specOf(), {
    containers: [
      {
        name: "a",
        image: "nginx:1",
        imagePullPolicy: "IfNotPresent",
        terminationMessagePath: "/dev/termination-log",
        terminationMessagePolicy: "File",
        resources: {},
      },
    ],
    restartPolicy: "Always",
    dnsPolicy: "ClusterFirst",
    terminationGracePeriodSeconds: 30,
    securityContext: {},
    schedulerName: "default-scheduler",
    enableServiceLinks: true,
    serviceAccountName: "default",
    serviceAccount: "default",
    priority: 0,
    preemptionPolicy: "PreemptLowerPriority",
    tolerations: [
      { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
      { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
    ],
  });
});

const pullPolicies: [image: string, policy: string][] = [
  ["nginx", "Always"],
  ["nginx:latest", "Always"],
  ["nginx:1.27", "IfNotPresent"],
  ["localhost:5000/nginx", "Always"],
  ["localhost:5000/nginx:1", "IfNotPresent"],
  ["nginx@sha256:aa", "IfNotPresent"],
  ["nginx:latest@sha256:aa", "Always"],
];
for (const [image, policy] of pullPolicies)
  test(`defaultPullPolicy() pulls ${image} ${policy}`, () => assert.equal(defaultPullPolicy(image), policy));

test("applyDefaults() takes an empty word for none", () => {
  const empty = "" as "Always"; // what Go's decoder makes of a field left out
  assert.equal(specOf({ restartPolicy: empty }).restartPolicy, "Always");
  assert.equal(firstOf({ imagePullPolicy: empty as "Never" }).imagePullPolicy, "IfNotPresent");
});

test("applyDefaults() takes requests from limits, one by one", () => {
  const { resources } = firstOf({ resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "500m" } } });
  assert.deepEqual(resources?.requests, { cpu: "500m", memory: "1Gi" });
});

test("applyDefaults() rounds resources up to thousandths", () => {
  assert.deepEqual(firstOf({ resources: { requests: { cpu: "1u", memory: "1024Mi" } } }).resources?.requests, { cpu: "1m", memory: "1Gi" });
});

test("applyDefaults() fills in ports, references and volumes", () => {
  const spec = specOf({
    containers: [
      {
        name: "a",
        image: "i:1",
        ports: [{ containerPort: 80 }],
        env: [{ name: "N", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
      },
    ],
    volumes: [
      { name: "none" },
      { name: "c", configMap: { name: "c" } },
      { name: "s", secret: { secretName: "s", defaultMode: 0o400 } },
      { name: "h", hostPath: { path: "/x" } },
    ],
  });
  assert.deepEqual(spec.containers[0]?.ports, [{ containerPort: 80, protocol: "TCP" }]);
  assert.equal(spec.containers[0]?.env?.[0]?.valueFrom?.fieldRef?.apiVersion, "v1");
  assert.deepEqual(spec.volumes, [
    { name: "none", emptyDir: {} },
    { name: "c", configMap: { name: "c", defaultMode: 0o644 } },
    { name: "s", secret: { secretName: "s", defaultMode: 0o400 } },
    { name: "h", hostPath: { path: "/x", type: "" } },
  ]);
});

test("applyDefaults() gives a pod on the host's network its host ports", () => {
  const spec = specOf({ hostNetwork: true, containers: [{ name: "a", image: "i:1", ports: [{ containerPort: 80 }] }] });
  assert.equal(spec.containers[0]?.ports?.[0]?.hostPort, 80);
});

test("applyDefaults() takes serviceAccount for serviceAccountName", () => {
  assert.equal(specOf({ serviceAccount: "robot" }).serviceAccountName, "robot");
  assert.equal(specOf({ serviceAccount: "old", serviceAccountName: "new" }).serviceAccount, "new");
});

test("applyDefaults() leaves out a toleration that a broader one covers", () => {
  assert.deepEqual(specOf({ tolerations: [{ operator: "Exists" }] }).tolerations, [{ operator: "Exists" }]);
});

test("applyDefaults() fills in probes and hooks", () => {
  const { livenessProbe, lifecycle } = firstOf({
    livenessProbe: { httpGet: { port: 80 } },
    lifecycle: { preStop: { httpGet: { port: 80 } } },
  });
  assert.deepEqual(livenessProbe, {
    httpGet: { port: 80, path: "/", scheme: "HTTP" },
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
  });
  assert.deepEqual(lifecycle?.preStop?.httpGet, { port: 80, path: "/", scheme: "HTTP" });
});

test("applyDefaults() moves stringData over data, as UTF-8", () => {
  const secret: Secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "s" },
    data: { a: "b2xk", b: "a2VwdA==" },
    stringData: { a: "nëw" },
  };
  assert.deepEqual(applyDefaults(secret), {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "s" },
    type: "Opaque",
    data: { a: Buffer.from("nëw").toString("base64"), b: "a2VwdA==" },
  });
});

test("applyDefaults() labels a namespace with its name", () => {
  const namespace: Namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "n", labels: { a: "1" } } };
  const { metadata, status } = applyDefaults(namespace);
  assert.deepEqual(metadata.labels, { a: "1", "kubernetes.io/metadata.name": "n" });
  assert.deepEqual(status, { phase: "Active" });
});

test("applyDefaults() makes all of a node allocatable", () => {
  const node: Node = { apiVersion: "v1", kind: "Node", metadata: { name: "n" }, status: { capacity: { cpu: "2" } } };
  assert.deepEqual(applyDefaults(node).status?.allocatable, { cpu: "2" });
});

test("applyDefaults() changes nothing the second time, nor what it is given, and what it adds decodes", () => {
  const given = pod({
    containers: [{ name: "a", image: "i", resources: { limits: { cpu: "1500m" } }, ports: [{ containerPort: 1 }] }],
    volumes: [{ name: "v" }],
  });
  const before = JSON.stringify(given);
  const once = applyDefaults(given);
  assert.equal(JSON.stringify(given), before);
  assert.deepEqual(applyDefaults(once), once);
  assert.deepEqual(decode(once, "io.k8s.api.core.v1.Pod"), { value: once, problems: [] });
});
