import assert from "node:assert/strict";
import { test } from "node:test";
import type { Container, Pod } from "@peapod/api";
import { containerEnvironment, type EnvironmentSources } from "./environment.ts";

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "shop", uid: "u-1", labels: { "app.kubernetes.io/name": "web" }, annotations: { note: "hi" } },
  spec: { nodeName: "node-1", containers: [] },
};
const sources: EnvironmentSources = {
  pod,
  references: {
    configMaps: new Map([
      [
        "settings",
        { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data: { mode: "fast", "bad=key": "x", "1ok": "y" } },
      ],
    ]),
    secrets: new Map([
      [
        "login",
        { apiVersion: "v1", kind: "Secret", metadata: { name: "login" }, data: { password: Buffer.from("s3cret").toString("base64") } },
      ],
    ]),
  },
  podIP: "10.0.0.2",
  hostIP: "10.0.0.1",
  allocatable: { cpu: "4", memory: "8Gi" },
};
const valueOf = (env: NonNullable<Container["env"]>[number], more: Partial<Container> = {}): string | undefined =>
  containerEnvironment({ name: "web", env: [env], ...more }, sources).variables[env.name];

const values: { does: string; env: NonNullable<Container["env"]>[number]; more?: Partial<Container>; want: string | undefined }[] = [
  { does: "a plain value", env: { name: "A", value: "1" }, want: "1" },
  { does: "no value as empty", env: { name: "A" }, want: "" },
  { does: "a ConfigMap's key", env: { name: "A", valueFrom: { configMapKeyRef: { name: "settings", key: "mode" } } }, want: "fast" },
  { does: "a Secret's key, decoded", env: { name: "A", valueFrom: { secretKeyRef: { name: "login", key: "password" } } }, want: "s3cret" },
  {
    does: "nothing for an optional key that is missing",
    env: { name: "A", valueFrom: { configMapKeyRef: { name: "settings", key: "other", optional: true } } },
    want: undefined,
  },
  {
    does: "nothing for an optional Secret that is missing",
    env: { name: "A", valueFrom: { secretKeyRef: { name: "other", key: "k", optional: true } } },
    want: undefined,
  },
  {
    does: "nothing for an optional key that every object has by nature",
    env: { name: "A", valueFrom: { configMapKeyRef: { name: "settings", key: "constructor", optional: true } } },
    want: undefined,
  },
  {
    does: "no such label as empty",
    env: { name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.labels['constructor']" } } },
    want: "",
  },
  { does: "the pod's name", env: { name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }, want: "web" },
  { does: "a label", env: { name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app.kubernetes.io/name']" } } }, want: "web" },
  { does: "the pod's address", env: { name: "A", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }, want: "10.0.0.2" },
  { does: "the node's address", env: { name: "A", valueFrom: { fieldRef: { fieldPath: "status.hostIP" } } }, want: "10.0.0.1" },
  {
    does: "a limit in the divisor's units, rounded up",
    env: { name: "A", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
    more: { resources: { limits: { memory: "1500Ki" } } },
    want: "2",
  },
  {
    does: "the node's room where no limit is set",
    env: { name: "A", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } },
    want: "4",
  },
];

for (const { does, env, more, want } of values) {
  test(`containerEnvironment() gives ${does}`, () => assert.equal(valueOf(env, more), want));
}

test("containerEnvironment() expands what is defined earlier, and nothing else", () => {
  const env = [{ name: "LATE", value: "$(BASE) $(AFTER) $$(BASE)" }];
  const { variables } = containerEnvironment(
    {
      name: "web",
      envFrom: [{ configMapRef: { name: "settings" } }],
      env: [{ name: "BASE", value: "$(mode)" }, ...env, { name: "AFTER", value: "x" }],
    },
    sources,
  );
  assert.equal(variables["LATE"], "fast $(AFTER) $(BASE)");
});

test("containerEnvironment() takes envFrom with a prefix, below env, and tells what it skips", () => {
  const { variables, skipped } = containerEnvironment(
    { name: "web", envFrom: [{ prefix: "P_", configMapRef: { name: "settings" } }], env: [{ name: "P_mode", value: "own" }] },
    sources,
  );
  assert.deepEqual({ ...variables }, { P_mode: "own", P_1ok: "y" });
  assert.deepEqual(skipped, [
    "Keys [P_bad=key] from the EnvFrom configMap shop/settings were skipped since they are considered invalid environment variable names.",
  ]);
});

for (const { of, container, message } of [
  { of: "a ConfigMap", container: { name: "web", envFrom: [{ configMapRef: { name: "other" } }] }, message: 'configmap "other" not found' },
  {
    of: "a Secret",
    container: { name: "web", env: [{ name: "A", valueFrom: { secretKeyRef: { name: "other", key: "k" } } }] },
    message: 'secret "other" not found',
  },
  {
    of: "a ConfigMap's key",
    container: { name: "web", env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "settings", key: "other" } } }] },
    message: "couldn't find key other in ConfigMap shop/settings",
  },
  {
    of: "a Secret's key",
    container: { name: "web", env: [{ name: "A", valueFrom: { secretKeyRef: { name: "login", key: "other" } } }] },
    message: "couldn't find key other in Secret shop/login",
  },
]) {
  test(`containerEnvironment() throws in upstream's words where ${of} is missing`, () => {
    assert.throws(() => containerEnvironment(container, sources), { code: "CONTAINER_CONFIG_INVALID", message });
  });
}
