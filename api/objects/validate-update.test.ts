import assert from "node:assert/strict";
import { test } from "node:test";
import { applyDefaults } from "./defaults.ts";
import type { ConfigMap, Pod, PodSpec, Secret } from "../generated.ts";
import type { KubeObject } from "../kinds/resource.ts";
import { validateUpdate } from "./validate.ts";

const pod = (spec: Partial<PodSpec> = {}): Pod =>
  applyDefaults({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "x", namespace: "default", uid: "u" },
    spec: { containers: [{ name: "a", image: "i:1" }], nodeName: "here", ...spec },
  });
const messages = <T extends KubeObject>(now: T, old: NoInfer<T>): string[] => validateUpdate(now, old).map(({ message }) => message);
const frozen =
  "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n";

const allowed: [does: string, now: Pod, old: Pod][] = [
  ["nothing", pod(), pod()],
  ["an image", pod({ containers: [{ name: "a", image: "i:2", imagePullPolicy: "IfNotPresent" }] }), pod()],
  ["labels", { ...pod(), metadata: { name: "x", namespace: "default", uid: "u", labels: { a: "1" } } }, pod()],
  ["a new toleration", pod({ tolerations: [...(pod().spec?.tolerations ?? []), { key: "k", operator: "Exists" }] }), pod()],
  ["a toleration's time", pod({ tolerations: (pod().spec?.tolerations ?? []).map((each) => ({ ...each, tolerationSeconds: 1 })) }), pod()],
  ["a deadline for the first time", pod({ activeDeadlineSeconds: 5 }), pod()],
  ["a shorter deadline", pod({ activeDeadlineSeconds: 5 }), pod({ activeDeadlineSeconds: 9 })],
  ["the node where none was set", pod(), pod({ nodeName: "" })],
  ["a negative grace to 1", pod({ terminationGracePeriodSeconds: 1 }), pod({ terminationGracePeriodSeconds: -1 })],
  ["empty lists for none", pod({ volumes: [], hostAliases: [] }), pod()],
];
for (const [does, now, old] of allowed) test(`validateUpdate() lets a pod change ${does}`, () => assert.deepEqual(messages(now, old), []));

const forbidden: { does: string; now: Pod; old?: Pod; want: string[] }[] = [
  {
    does: "a command",
    now: pod({ containers: [{ name: "a", image: "i:1", command: ["x"] }] }),
    want: [`${frozen}+ spec.containers[0].command: ["x"]`],
  },
  {
    does: "a host name and a grace period",
    now: pod({ hostname: "h", terminationGracePeriodSeconds: 1 }),
    want: [`${frozen}+ spec.hostname: "h"\n- spec.terminationGracePeriodSeconds: 30\n+ spec.terminationGracePeriodSeconds: 1`],
  },
  { does: "the node", now: pod({ nodeName: "there" }), want: [`${frozen}- spec.nodeName: "here"\n+ spec.nodeName: "there"`] },
  {
    does: "the number of containers",
    now: pod({
      containers: [
        { name: "a", image: "i:1" },
        { name: "b", image: "i:1" },
      ],
    }),
    want: ["spec.containers: Forbidden: pod updates may not add or remove containers"],
  },
  {
    does: "the order of containers",
    now: pod({
      containers: [
        { name: "b", image: "i:1" },
        { name: "a", image: "i:1" },
      ],
    }),
    old: pod({
      containers: [
        { name: "a", image: "i:1" },
        { name: "b", image: "i:1" },
      ],
    }),
    want: [
      `${frozen}- spec.containers[0].name: "a"\n+ spec.containers[0].name: "b"\n- spec.containers[1].name: "b"\n+ spec.containers[1].name: "a"`,
    ],
  },
  {
    does: "a toleration away",
    now: pod(),
    old: pod({ tolerations: [{ key: "k", operator: "Exists", effect: "NoSchedule" }] }),
    want: ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"],
  },
  {
    does: "a deadline to a longer one",
    now: pod({ activeDeadlineSeconds: 9 }),
    old: pod({ activeDeadlineSeconds: 5 }),
    want: ["spec.activeDeadlineSeconds: Invalid value: 9: must be less than or equal to previous value"],
  },
  {
    does: "a deadline away",
    now: pod(),
    old: pod({ activeDeadlineSeconds: 5 }),
    want: ["spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"],
  },
  {
    does: "its uid",
    now: { ...pod(), metadata: { name: "x", namespace: "default", uid: "other" } },
    want: ['metadata.uid: Invalid value: "other": field is immutable'],
  },
  {
    does: "labels to bad ones",
    now: { ...pod(), metadata: { name: "x", namespace: "default", labels: { "-": "1" } } },
    want: [
      `metadata.labels: Invalid value: "-": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
    ],
  },
];
for (const { does, now, old = pod(), want } of forbidden)
  test(`validateUpdate() lets no pod change ${does}`, () => assert.deepEqual(messages(now, old), want));

test("validateUpdate() judges only metadata in a write of the status", () => {
  const now = pod({ hostname: "h" });
  assert.deepEqual(validateUpdate(now, pod(), "status"), []);
  const labelled = { ...pod(), metadata: { ...pod().metadata, labels: { "a b": "1" } } };
  assert.deepEqual(
    validateUpdate(labelled, pod(), "status").map(({ field }) => field),
    ["metadata.labels"],
  );
  assert.deepEqual(validateUpdate(labelled, labelled, "status"), []);
});

test("validateUpdate() does not hold against an object what was wrong before", () => {
  const old = pod({ hostname: "A_B" });
  assert.deepEqual(messages<Pod>({ ...old, metadata: { ...old.metadata, labels: { a: "1" } } }, old), []);
});

test("validateUpdate() lets no finalizer join an object that is being deleted", () => {
  const old: Pod = {
    ...pod(),
    metadata: { name: "x", namespace: "default", deletionTimestamp: "2024-01-01T00:00:00Z", finalizers: ["a/x"] },
  };
  const [message] = messages<Pod>({ ...old, metadata: { ...old.metadata, finalizers: ["a/x", "b/x"] } }, old);
  assert.equal(
    message,
    'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"b/x"}',
  );
  assert.deepEqual(messages<Pod>({ ...old, metadata: { ...old.metadata, finalizers: [] } }, old), []);
});

test("validateUpdate() keeps an immutable ConfigMap as it is", () => {
  const old: ConfigMap = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "c", namespace: "n" },
    data: { a: "1" },
    immutable: true,
  };
  const fixed = "Forbidden: field is immutable when `immutable` is set";
  assert.deepEqual(messages<ConfigMap>({ ...old, data: { a: "2" }, immutable: false }, old), [`immutable: ${fixed}`, `data: ${fixed}`]);
  assert.deepEqual(messages<ConfigMap>({ ...old, data: { a: "2" } }, { ...old, immutable: false }), []);
  assert.deepEqual(messages<ConfigMap>({ ...old, binaryData: {} }, old), []);
});

test("validateUpdate() keeps a Secret's type, and an immutable one as it is", () => {
  const old: Secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "s", namespace: "n" }, type: "Opaque", data: { a: "AA==" } };
  assert.deepEqual(messages<Secret>({ ...old, type: "other" }, old), ['type: Invalid value: "other": field is immutable']);
  assert.deepEqual(messages<Secret>({ ...old, immutable: true, data: {} }, { ...old, immutable: true }), [
    "data: Forbidden: field is immutable when `immutable` is set",
  ]);
});
