import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { equalJson } from "../values/json.ts";
import { PatchError } from "./json-patch.ts";
import { applyMergePatch } from "./merge-patch.ts";
import { applyStrategicMergePatch } from "./strategic-merge-patch.ts";

const POD = "io.k8s.api.core.v1.Pod";
const two = {
  spec: {
    containers: [
      { name: "a", image: "a:1" },
      { name: "b", image: "b:1" },
    ],
  },
};
const names = (...list: string[]): { name: string }[] => list.map((name) => ({ name }));

const cases: { does: string; target: unknown; patch: unknown; want: unknown }[] = [
  {
    does: "merges maps",
    target: { metadata: { labels: { a: "1", b: "2" } } },
    patch: { metadata: { labels: { b: null, c: "3" } } },
    want: { metadata: { labels: { a: "1", c: "3" } } },
  },
  {
    does: "makes what was not there, without the nulls",
    target: {},
    patch: { metadata: { labels: { a: "1", b: null } } },
    want: { metadata: { labels: { a: "1" } } },
  },
  {
    does: "merges containers by name, in place",
    target: two,
    patch: { spec: { containers: [{ name: "b", image: "b:2" }] } },
    want: {
      spec: {
        containers: [
          { name: "a", image: "a:1" },
          { name: "b", image: "b:2" },
        ],
      },
    },
  },
  {
    does: "puts a new container first where no order is given, as upstream",
    target: { spec: { containers: names("a") } },
    patch: { spec: { containers: [{ name: "c", image: "c", command: null }] } },
    want: { spec: { containers: [{ name: "c", image: "c" }, { name: "a" }] } },
  },
  {
    does: "deletes a container by $patch",
    target: two,
    patch: { spec: { containers: [{ $patch: "delete", name: "a" }] } },
    want: { spec: { containers: [{ name: "b", image: "b:1" }] } },
  },
  {
    does: "deletes what is not there",
    target: { spec: { containers: names("a") } },
    patch: { spec: { containers: [{ $patch: "delete", name: "z" }] } },
    want: { spec: { containers: names("a") } },
  },
  {
    does: "replaces a list by $patch",
    target: two,
    patch: { spec: { containers: [{ $patch: "replace" }, { name: "z" }] } },
    want: { spec: { containers: names("z") } },
  },
  {
    does: "replaces a map by $patch",
    target: { metadata: { labels: { a: "1" } } },
    patch: { metadata: { labels: { $patch: "replace", b: "2" } } },
    want: { metadata: { labels: { b: "2" } } },
  },
  {
    does: "deletes a map by $patch",
    target: { spec: { nodeName: "n", securityContext: { runAsUser: 1 } } },
    patch: { spec: { securityContext: { $patch: "delete" } } },
    want: { spec: { nodeName: "n" } },
  },
  {
    does: "takes $patch: merge as what it does anyway",
    target: { metadata: { labels: { a: "1" } } },
    patch: { metadata: { labels: { $patch: "merge", b: "2" } } },
    want: { metadata: { labels: { a: "1", b: "2" } } },
  },
  {
    does: "replaces atomic lists",
    target: { spec: { containers: [{ name: "a", args: ["x", "y"] }] } },
    patch: { spec: { containers: [{ name: "a", args: ["z"] }] } },
    want: { spec: { containers: [{ name: "a", args: ["z"] }] } },
  },
  {
    does: "replaces tolerations, which have no merge key",
    target: { spec: { tolerations: [{ key: "a" }] } },
    patch: { spec: { tolerations: [{ key: "b" }] } },
    want: { spec: { tolerations: [{ key: "b" }] } },
  },
  {
    does: "adds to a set of strings once",
    target: { metadata: { finalizers: ["a/x", "b/x"] } },
    patch: { metadata: { finalizers: ["b/x", "c/x"] } },
    want: { metadata: { finalizers: ["a/x", "b/x", "c/x"] } },
  },
  {
    does: "takes strings out by $deleteFromPrimitiveList",
    target: { metadata: { finalizers: ["a/x", "b/x", "c/x"] } },
    patch: { metadata: { "$deleteFromPrimitiveList/finalizers": ["b/x"], "$setElementOrder/finalizers": ["c/x", "a/x"] } },
    want: { metadata: { finalizers: ["c/x", "a/x"] } },
  },
  {
    does: "lets a removal win over an addition and an order",
    target: { metadata: { finalizers: ["c/x", "d/x", "b/x", "a/x"] } },
    patch: {
      metadata: {
        finalizers: ["c/x"],
        "$deleteFromPrimitiveList/finalizers": ["b/x", "a/x", "c/x"],
        "$setElementOrder/finalizers": ["a/x", "c/x"],
      },
    },
    want: { metadata: { finalizers: ["d/x"] } },
  },
  {
    does: "makes an item anew that is deleted and given",
    target: { spec: { containers: [{ name: "a", image: "a:1", args: ["x"] }, { name: "b" }] } },
    patch: {
      spec: {
        containers: [
          { $patch: "delete", name: "a" },
          { name: "a", image: "a:2" },
        ],
      },
    },
    want: { spec: { containers: [{ name: "a", image: "a:2" }, { name: "b" }] } },
  },
  {
    does: "merges numeric keys",
    target: { spec: { containers: [{ name: "a", ports: [{ containerPort: 80, name: "x" }, { containerPort: 81 }] }] } },
    patch: { spec: { containers: [{ name: "a", ports: [{ containerPort: 81, name: "y" }] }] } },
    want: {
      spec: {
        containers: [
          {
            name: "a",
            ports: [
              { containerPort: 80, name: "x" },
              { containerPort: 81, name: "y" },
            ],
          },
        ],
      },
    },
  },
  {
    does: "reorders by $setElementOrder alone",
    target: { spec: { containers: names("a", "b", "c") } },
    patch: { spec: { "$setElementOrder/containers": names("c", "a", "b") } },
    want: { spec: { containers: names("c", "a", "b") } },
  },
  {
    does: "keeps the places of items that only the server knows",
    target: { spec: { containers: names("a", "injected", "b") } },
    patch: { spec: { "$setElementOrder/containers": names("a", "b"), containers: [{ name: "b", image: "b:2" }] } },
    want: { spec: { containers: [{ name: "a" }, { name: "injected" }, { name: "b", image: "b:2" }] } },
  },
  {
    does: "puts new items where the order says",
    target: { spec: { containers: names("a", "b") } },
    patch: { spec: { "$setElementOrder/containers": names("a", "new", "b"), containers: names("new") } },
    want: { spec: { containers: names("a", "new", "b") } },
  },
  {
    does: "deletes and orders at once, as kubectl apply writes it",
    target: {
      spec: {
        containers: [
          {
            name: "a",
            env: [
              { name: "X", value: "1" },
              { name: "Y", value: "2" },
            ],
          },
        ],
      },
    },
    patch: {
      metadata: { annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}" } },
      spec: {
        "$setElementOrder/containers": names("a"),
        containers: [
          {
            "$setElementOrder/env": names("Z", "Y"),
            env: [
              { name: "Z", value: "3" },
              { $patch: "delete", name: "X" },
            ],
            name: "a",
          },
        ],
      },
    },
    want: {
      metadata: { annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}" } },
      spec: {
        containers: [
          {
            name: "a",
            env: [
              { name: "Z", value: "3" },
              { name: "Y", value: "2" },
            ],
          },
        ],
      },
    },
  },
  {
    does: "swaps a volume's source by $retainKeys",
    target: {
      spec: {
        volumes: [
          { name: "v", emptyDir: {} },
          { name: "w", emptyDir: {} },
        ],
      },
    },
    patch: {
      spec: {
        "$setElementOrder/volumes": names("v", "w"),
        volumes: [{ $retainKeys: ["name", "configMap"], name: "v", configMap: { name: "c" }, emptyDir: null }],
      },
    },
    want: {
      spec: {
        volumes: [
          { name: "v", configMap: { name: "c" } },
          { name: "w", emptyDir: {} },
        ],
      },
    },
  },
  {
    does: "merges unknown maps like a JSON merge patch, and replaces unknown lists",
    target: { x: { a: 1, l: [1] } },
    patch: { x: { b: 2, l: [2] } },
    want: { x: { a: 1, b: 2, l: [2] } },
  },
  {
    does: "takes the patch where the kinds of value differ",
    target: { spec: "x" },
    patch: { spec: { nodeName: "n" } },
    want: { spec: { nodeName: "n" } },
  },
  {
    does: "merges the conditions of a status by type",
    target: { status: { conditions: [{ type: "Ready", status: "False" }] } },
    patch: {
      status: {
        conditions: [
          { type: "Ready", status: "True" },
          { type: "Initialized", status: "True" },
        ],
      },
    },
    want: {
      status: {
        conditions: [
          { type: "Ready", status: "True" },
          { type: "Initialized", status: "True" },
        ],
      },
    },
  },
];
for (const { does, target, patch, want } of cases) {
  test(`applyStrategicMergePatch() ${does}`, () => {
    const before = JSON.stringify([target, patch]);
    assert.deepEqual(applyStrategicMergePatch(target, patch, POD), want);
    assert.equal(JSON.stringify([target, patch]), before);
  });
}

const bad: { does: string; patch: unknown; message: RegExp }[] = [
  { does: "what is no object", patch: [], message: /not an object/ },
  {
    does: "an item without its key",
    patch: { spec: { containers: [{ image: "x" }] } },
    message: /does not contain declared merge key: name/,
  },
  { does: "an item that is no object", patch: { spec: { containers: ["a"] } }, message: /not an object/ },
  { does: "an unknown $patch", patch: { spec: { $patch: "frob" } }, message: /"frob"/ },
  { does: "an unknown $patch in a list", patch: { spec: { containers: [{ name: "a", $patch: "merge" }] } }, message: /in a list/ },
  {
    does: "an order that leaves a patched item out",
    patch: { spec: { "$setElementOrder/containers": names("a"), containers: names("b") } },
    message: /does not match its \$setElementOrder/,
  },
  {
    does: "patched items in another order than the order's",
    patch: { spec: { "$setElementOrder/containers": names("a", "b"), containers: names("b", "a") } },
    message: /does not match its \$setElementOrder/,
  },
  { does: "an order that is no list", patch: { spec: { "$setElementOrder/containers": "a" } }, message: /is not a list/ },
  {
    does: "$retainKeys that leaves a patched field out",
    patch: { spec: { $retainKeys: ["nodeName"], hostname: "h" } },
    message: /retainKeys/,
  },
];
for (const { does, patch, message } of bad) {
  test(`applyStrategicMergePatch() refuses ${does}`, () =>
    assert.throws(() => applyStrategicMergePatch(two, patch, POD), { name: "PatchError", kind: "malformed", message }));
}

const label = fc.dictionary(fc.constantFrom("a", "b", "__proto__"), fc.option(fc.string({ maxLength: 3 })), { maxKeys: 3 });

test("applyStrategicMergePatch() is a JSON merge patch where there are no lists", () => {
  fc.assert(
    fc.property(label, label, (before, patch) => {
      const target = { metadata: { labels: before } };
      const change = { metadata: { labels: patch } };
      assert.ok(equalJson(applyStrategicMergePatch(target, change, POD), applyMergePatch(target, change)));
    }),
  );
});

const container = fc.record({ name: fc.constantFrom("a", "b", "c", "d"), image: fc.string({ maxLength: 2 }) });
const containers = fc.uniqueArray(container, { selector: ({ name }) => name });

test("applyStrategicMergePatch() puts containers in the order asked for, loses none, and applies twice as once", () => {
  fc.assert(
    fc.property(containers, containers, (live, wanted) => {
      const patch = { spec: { "$setElementOrder/containers": wanted.map(({ name }) => ({ name })), containers: wanted } };
      const once = applyStrategicMergePatch({ spec: { containers: live } }, patch, POD) as { spec: { containers: { name: string }[] } };
      const order = once.spec.containers.map(({ name }) => name);
      const wantedNames: string[] = wanted.map(({ name }) => name);
      assert.deepEqual(
        order.filter((name) => wantedNames.includes(name)),
        wantedNames,
      );
      assert.deepEqual(order.toSorted(), [...new Set([...live, ...wanted].map(({ name }) => name))].toSorted());
      assert.deepEqual(applyStrategicMergePatch(once, patch, POD), once);
    }),
  );
});

test("applyStrategicMergePatch() throws nothing but PatchError, whatever it is given", () => {
  const odd = fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: "small" }, fc.jsonValue({ maxDepth: 1 }), tie("map"), fc.array(tie("value"), { maxLength: 3 })),
    map: fc.dictionary(
      fc.constantFrom(
        "spec",
        "containers",
        "volumes",
        "name",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$deleteFromPrimitiveList/finalizers",
        "metadata",
        "finalizers",
      ),
      tie("value"),
      { maxKeys: 4 },
    ),
  })).value;
  fc.assert(
    fc.property(odd, odd, (target, patch) => {
      try {
        applyStrategicMergePatch(target, patch, POD);
      } catch (cause) {
        assert.ok(cause instanceof PatchError, String(cause));
      }
    }),
  );
});
