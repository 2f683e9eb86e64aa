import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { test } from "node:test";
import type { Container, Pod } from "@peapod/api";
import fc from "fast-check";
import { EngineError } from "../../errors.ts";
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
  {
    of: "a container",
    container: { name: "web", env: [{ name: "A", valueFrom: { resourceFieldRef: { containerName: "none", resource: "limits.cpu" } } }] },
    message: "container none not found",
  },
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

/** What the API keeps of a Secret's bytes. */
const withSecret = (bytes: Uint8Array): EnvironmentSources => {
  const data = { k: Buffer.from(bytes).toString("base64") };
  return {
    ...sources,
    references: {
      ...sources.references,
      secrets: new Map([["key", { apiVersion: "v1", kind: "Secret", metadata: { name: "key" }, data }]]),
    },
  };
};
const ways: { by: string; container: Container; name: string }[] = [
  {
    by: "secretKeyRef",
    container: { name: "web", env: [{ name: "A", valueFrom: { secretKeyRef: { name: "key", key: "k" } } }] },
    name: "A",
  },
  { by: "envFrom", container: { name: "web", envFrom: [{ prefix: "P_", secretRef: { name: "key" } }] }, name: "P_k" },
];
for (const { by, container, name } of ways) {
  test(`containerEnvironment() gives a Secret's bytes by ${by} as they are, or names the key and refuses`, () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 8 }),
          fc.string({ unit: "binary" }).map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          try {
            assert.deepEqual(Buffer.from(containerEnvironment(container, withSecret(bytes)).variables[name] ?? ""), Buffer.from(bytes));
          } catch (error) {
            assert.ok(error instanceof EngineError && error.code === "CONTAINER_CONFIG_INVALID", String(error));
            const isNul = bytes.includes(0) && isUtf8(bytes);
            assert.ok(isNul || !isUtf8(bytes));
            assert.match(
              error.message,
              isNul ? new RegExp(`environment variable ${name} contains a NUL`) : /^key k in Secret shop\/key is not UTF-8/,
            );
          }
        },
      ),
    );
  });
}

test("containerEnvironment() refuses a NUL wherever it comes from", () => {
  const message = "the value of environment variable A contains a NUL character, which none can hold";
  for (const value of ["a\0b", "$(B)\0"])
    assert.throws(() => containerEnvironment({ name: "web", env: [{ name: "A", value }] }, sources), {
      code: "CONTAINER_CONFIG_INVALID",
      message,
    });
});
