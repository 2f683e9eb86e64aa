import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decode } from "./decode.ts";
import { resources } from "../kinds/resources.ts";

const POD = "io.k8s.api.core.v1.Pod";
const SECRET = "io.k8s.api.core.v1.Secret";
const pod = (spec: object, metadata: object = { name: "x" }): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata,
  spec: { containers: [{ name: "a", image: "i" }], ...spec },
});
const container = (fields: object): object => pod({ containers: [{ name: "a" }, { name: "b", ...fields }] });

const problems: { does: string; value: unknown; type?: string; want: string[] }[] = [
  { does: "finds nothing wrong with a plain pod", value: pod({ restartPolicy: "Never" }), want: [] },
  {
    does: "suggests the nearest name",
    value: container({ imagePullPolcy: "Always" }),
    want: ["spec.containers[1].imagePullPolcy: unknown field, did you mean imagePullPolicy?"],
  },
  {
    does: "suggests the right case",
    value: container({ Image: "x", volume_mounts: [] }),
    want: [
      "spec.containers[1].Image: unknown field, did you mean image?",
      "spec.containers[1].volume_mounts: unknown field, did you mean volumeMounts?",
    ],
  },
  {
    does: "says where a field belongs",
    value: { ...pod({}), restartPolicy: "Never" },
    want: ["restartPolicy: unknown field, restartPolicy belongs to spec"],
  },
  {
    does: "says where a container's field belongs",
    value: pod({ volumeMounts: [] }),
    want: ["spec.volumeMounts: unknown field, volumeMounts belongs to spec.containers[]"],
  },
  {
    does: "guesses at a field elsewhere",
    value: pod({ imagePulPolicy: "Always" }),
    want: ["spec.imagePulPolicy: unknown field, did you mean imagePullPolicy of spec.containers[]?"],
  },
  { does: "says just unknown where nothing is near", value: pod({ frobnicate: 1 }), want: ["spec.frobnicate: unknown field"] },
  {
    does: "names a map's odd key in brackets",
    value: pod({}, { name: "x", labels: { "a.b/c": 1 } }),
    want: ["metadata.labels[a.b/c]: wants a string, found the number 1: write it in quotes"],
  },
  {
    does: "wants strings",
    value: container({ args: [1, true, {}] }),
    want: [
      "spec.containers[1].args[0]: wants a string, found the number 1: write it in quotes",
      "spec.containers[1].args[1]: wants a string, found true: write it in quotes",
      "spec.containers[1].args[2]: wants a string, found an object",
    ],
  },
  {
    does: "wants whole numbers",
    value: pod({ terminationGracePeriodSeconds: 1.5, priority: 2 ** 31 }),
    want: [
      "spec.terminationGracePeriodSeconds: wants a whole number (int64), found the number 1.5",
      "spec.priority: wants a whole number (int32), found the number 2147483648",
    ],
  },
  {
    does: "wants booleans",
    value: pod({ shareProcessNamespace: "yes" }),
    want: ['spec.shareProcessNamespace: wants true or false, found the string "yes"'],
  },
  { does: "wants lists", value: pod({ volumes: { name: "v" } }), want: ["spec.volumes: wants a list, found an object"] },
  {
    does: "wants objects",
    value: container({ resources: "much" }),
    want: ['spec.containers[1].resources: wants an object, found the string "much"'],
  },
  { does: "wants maps", value: pod({ nodeSelector: [] }), want: ["spec.nodeSelector: wants a map, found a list"] },
  {
    does: "suggests an enum's value",
    value: pod({ restartPolicy: "always" }),
    want: ['spec.restartPolicy: unknown value "always", did you mean Always? (one of Always, OnFailure, Never)'],
  },
  {
    does: "names what is missing",
    value: pod({ containers: [{ image: "i" }] }),
    want: ["spec.containers[0].name: required field is missing"],
  },
  {
    does: "takes null for nothing",
    value: pod({ containers: [{ name: null, image: "i" }] }),
    want: ["spec.containers[0].name: required field is missing"],
  },
  {
    does: "wants quantities",
    value: container({ resources: { limits: { cpu: "fast" } } }),
    want: [
      "spec.containers[1].resources.limits.cpu: wants a quantity such as 500m or 64Mi, found \"fast\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  },
  {
    does: "wants times",
    value: pod({}, { name: "x", creationTimestamp: "yesterday" }),
    want: ['metadata.creationTimestamp: wants a time such as 2006-01-02T15:04:05Z, found "yesterday"'],
  },
  {
    does: "wants base64",
    type: SECRET,
    value: { metadata: { name: "s" }, data: { a: "plain!" } },
    want: ["data.a: wants base64 (of the bytes that are meant), and this is not: use stringData for plain text"],
  },
  {
    does: "wants an integer or a string",
    value: container({ livenessProbe: { httpGet: { port: true } } }),
    want: ["spec.containers[1].livenessProbe.httpGet.port: wants a whole number or a string, found true"],
  },
  {
    does: "does not read a prototype",
    value: JSON.parse('{"kind":"Pod","__proto__":{"a":1},"constructor":1}'),
    want: ["__proto__: unknown field", "constructor: unknown field"],
  },
  { does: "names an unknown type", type: "io.k8s.Nothing", value: {}, want: [": unknown type io.k8s.Nothing"] },
  { does: "wants an object at the top", value: [], want: [": wants an object, found a list"] },
];
for (const { does, value, type = POD, want } of problems) {
  test(`decode() ${does}`, () => {
    const found = decode(value, type).problems.map(({ path, message }) => `${path}: ${message}`);
    assert.deepEqual(found, want);
  });
}

const values: { does: string; value: unknown; type?: string; want: unknown }[] = [
  {
    does: "drops null fields, and only those",
    value: { metadata: { name: "x", labels: null }, spec: { hostname: "", containers: [] } },
    want: { metadata: { name: "x" }, spec: { hostname: "", containers: [] } },
  },
  {
    does: "leaves out what is unknown or mistyped",
    value: { metadata: { name: 1, nam: "x" }, spec: { containers: "x" } },
    want: { metadata: {}, spec: {} },
  },
  {
    does: "makes quantities canonical strings",
    value: { spec: { containers: [{ resources: { limits: { cpu: 0.5, memory: "1024Mi" } } }] } },
    want: { spec: { containers: [{ resources: { limits: { cpu: "500m", memory: "1Gi" } } }] } },
  },
  {
    does: "gives null items their zero value, as Go does",
    value: { metadata: { labels: { a: null } }, spec: { containers: [null, { args: [null] }] } },
    want: { metadata: { labels: { a: "" } }, spec: { containers: [{}, { args: [""] }] } },
  },
  {
    does: "keeps free JSON as it is",
    value: { metadata: { managedFields: [{ fieldsV1: { "f:a": { ".": {}, x: null } } }] } },
    want: { metadata: { managedFields: [{ fieldsV1: { "f:a": { ".": {}, x: null } } }] } },
  },
];
for (const { does, value, type = POD, want } of values) {
  test(`decode() ${does}`, () => {
    const before = JSON.stringify(value);
    const decoded = decode(value, type).value;
    assert.deepEqual(decoded, want);
    assert.notEqual(decoded, value);
    assert.equal(JSON.stringify(value), before);
  });
}

test("decode() gives the path in steps too", () => {
  const [problem] = decode(container({ imagePullPolcy: "Always" }), POD).problems;
  assert.deepEqual(problem?.pathSegments, ["spec", "containers", 1, "imagePullPolcy"]);
  assert.equal(problem.kind, "unknown");
});

test("decode() stops at a depth and at a number of problems", () => {
  let deep: unknown = 1;
  for (let level = 0; level < 10_000; level += 1) deep = { a: deep };
  assert.equal(decode({ metadata: { managedFields: [{ fieldsV1: deep }] } }, POD).problems.at(-1)?.message, "nested too deeply");
  const wide = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`unknown${index}`, 1]));
  assert.equal(decode(wide, POD).problems.length, 100);
});

const fieldNames = [
  "apiVersion",
  "kind",
  "metadata",
  "spec",
  "status",
  "containers",
  "name",
  "labels",
  "data",
  "resources",
  "limits",
  "cpu",
  "volumes",
  "emptyDir",
  "env",
  "value",
  "__proto__",
  "x",
];
const anyJson = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "medium" },
    fc.jsonValue({ maxDepth: 1 }),
    fc.constantFrom("1Gi", "500m", "Always", "2020-01-01T00:00:00Z"),
    tie("map"),
    fc.array(tie("value"), { maxLength: 3 }),
  ),
  map: fc.dictionary(fc.constantFrom(...fieldNames), tie("value"), { maxKeys: 5 }),
})).value;

test("decode() takes any JSON, gives what it finds right itself, and then changes nothing more", () => {
  fc.assert(
    fc.property(anyJson, fc.constantFrom(...resources.map(({ typeName }) => typeName)), (value, typeName) => {
      const once = decode(value, typeName);
      const twice = decode(once.value ?? {}, typeName);
      assert.deepEqual(twice.value, once.value ?? {});
      assert.deepEqual(
        twice.problems.filter(({ kind }) => kind !== "missing" && kind !== "enum"),
        [],
      );
    }),
    { numRuns: 300 },
  );
});

test("decode() quotes a scalar as it was written", () => {
  const sources: Record<string, string> = { version: "1.10", mode: "010", hex: "0x1F", flag: "yes", plain: "true" };
  const value = { data: { version: 1.1, mode: 8, hex: 31, flag: true, plain: true } };
  const { problems } = decode(value, "io.k8s.api.core.v1.ConfigMap", (path) => sources[String(path.at(-1))]);
  assert.deepEqual(
    problems.map(({ message }) => message),
    [
      'wants a string, found the number 1.10: write "1.10" in quotes',
      'wants a string, found the number 010: write "010" in quotes',
      'wants a string, found the number 0x1F: write "0x1F" in quotes',
      'wants a string, found yes, which is true in YAML: write "yes" in quotes',
      'wants a string, found true: write "true" in quotes',
    ],
  );
});
