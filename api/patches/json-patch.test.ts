import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { applyJsonPatch, PatchError } from "./json-patch.ts";
import { applyMergePatch } from "./merge-patch.ts";
import { applyStrategicMergePatch } from "./strategic-merge-patch.ts";

const good: { does: string; target: unknown; patch: unknown; want: unknown }[] = [
  { does: "adds a field", target: { foo: "bar" }, patch: [{ op: "add", path: "/baz", value: "qux" }], want: { foo: "bar", baz: "qux" } },
  {
    does: "inserts an item",
    target: { foo: ["a", "c"] },
    patch: [{ op: "add", path: "/foo/1", value: "b" }],
    want: { foo: ["a", "b", "c"] },
  },
  { does: "appends with -", target: { foo: [1] }, patch: [{ op: "add", path: "/foo/-", value: [2] }], want: { foo: [1, [2]] } },
  { does: "replaces the whole document", target: 1, patch: [{ op: "add", path: "", value: { a: 1 } }], want: { a: 1 } },
  { does: "removes a field", target: { a: 1, b: 2 }, patch: [{ op: "remove", path: "/a" }], want: { b: 2 } },
  { does: "removes an item", target: { a: [1, 2, 3] }, patch: [{ op: "remove", path: "/a/1" }], want: { a: [1, 3] } },
  { does: "replaces a value", target: { a: 1 }, patch: [{ op: "replace", path: "/a", value: null }], want: { a: null } },
  {
    does: "moves a value",
    target: { a: { b: 1 }, c: {} },
    patch: [{ op: "move", from: "/a/b", path: "/c/d" }],
    want: { a: {}, c: { d: 1 } },
  },
  { does: "moves an item", target: { a: [1, 2, 3] }, patch: [{ op: "move", from: "/a/0", path: "/a/2" }], want: { a: [2, 3, 1] } },
  {
    does: "copies by value",
    target: { a: [1] },
    patch: [
      { op: "copy", from: "/a", path: "/b" },
      { op: "add", path: "/a/-", value: 2 },
    ],
    want: { a: [1, 2], b: [1] },
  },
  {
    does: "tests deep values",
    target: { a: { x: 1, y: [2] } },
    patch: [{ op: "test", path: "/a", value: { y: [2], x: 1 } }],
    want: { a: { x: 1, y: [2] } },
  },
  { does: "reads ~0 and ~1", target: { "a/b~c": 1 }, patch: [{ op: "replace", path: "/a~1b~0c", value: 2 }], want: { "a/b~c": 2 } },
  { does: "reads ~01 as ~1", target: { "~1": 1 }, patch: [{ op: "remove", path: "/~01" }], want: {} },
  { does: "ignores fields it does not know", target: {}, patch: [{ op: "add", path: "/a", value: 1, why: "because" }], want: { a: 1 } },
];
for (const { does, target, patch, want } of good) {
  test(`applyJsonPatch() ${does}`, () => {
    const before = JSON.stringify(target);
    assert.deepEqual(applyJsonPatch(target, patch), want);
    assert.equal(JSON.stringify(target), before);
  });
}

const bad: { does: string; target?: unknown; patch: unknown; kind: PatchError["kind"]; message: RegExp }[] = [
  { does: "what is no list", patch: {}, kind: "malformed", message: /not a list/ },
  { does: "an operation that is no object", patch: [1], kind: "malformed", message: /operation 0/ },
  { does: "an unknown op", patch: [{ op: "frob", path: "/a" }], kind: "malformed", message: /"frob"/ },
  { does: "a missing op", patch: [{ path: "/a" }], kind: "malformed", message: /unknown op/ },
  { does: "a path without its slash", patch: [{ op: "remove", path: "a" }], kind: "malformed", message: /JSON pointer/ },
  { does: "a bad escape", patch: [{ op: "remove", path: "/~2" }], kind: "malformed", message: /JSON pointer/ },
  { does: "a missing value", patch: [{ op: "add", path: "/a" }], kind: "malformed", message: /no value/ },
  { does: "a missing from", patch: [{ op: "copy", path: "/a" }], kind: "malformed", message: /"from"/ },
  { does: "the removal of nothing", patch: [{ op: "remove", path: "/a" }], kind: "unfit", message: /nothing at \/a/ },
  { does: "the replacement of nothing", patch: [{ op: "replace", path: "/a/b", value: 1 }], kind: "unfit", message: /nothing at \/a/ },
  {
    does: "an index past the end",
    target: { a: [1] },
    patch: [{ op: "add", path: "/a/2", value: 1 }],
    kind: "unfit",
    message: /1 items and none at "2"/,
  },
  {
    does: "an index with a leading zero",
    target: { a: [1, 2] },
    patch: [{ op: "remove", path: "/a/01" }],
    kind: "unfit",
    message: /none at "01"/,
  },
  { does: "a failed test", target: { a: 1 }, patch: [{ op: "test", path: "/a", value: "1" }], kind: "unfit", message: /tests for/ },
  {
    does: "a move into itself",
    target: { a: { b: {} } },
    patch: [{ op: "move", from: "/a", path: "/a/b/c" }],
    kind: "unfit",
    message: /into itself/,
  },
  { does: "a child of a string", target: { a: "x" }, patch: [{ op: "add", path: "/a/b", value: 1 }], kind: "unfit", message: /neither/ },
  {
    does: "the prototype as a way",
    target: {},
    patch: [{ op: "add", path: "/__proto__/polluted", value: 1 }],
    kind: "unfit",
    message: /nothing at/,
  },
  {
    does: "a constructor as a way",
    target: {},
    patch: [{ op: "add", path: "/constructor/prototype/polluted", value: 1 }],
    kind: "unfit",
    message: /nothing at/,
  },
];
for (const { does, target = {}, patch, kind, message } of bad) {
  test(`applyJsonPatch() refuses ${does}`, () => assert.throws(() => applyJsonPatch(target, patch), { name: "PatchError", kind, message }));
}

test("applyJsonPatch() sets __proto__ as an ordinary field", () => {
  const result = applyJsonPatch({}, [{ op: "add", path: "/__proto__", value: { polluted: true } }]);
  assert.equal(JSON.stringify(result), '{"__proto__":{"polluted":true}}');
  assert.equal(Reflect.get({}, "polluted"), undefined);
});

test("applyJsonPatch() throws nothing but PatchError, whatever it is given", () => {
  const pointer = fc.constantFrom("", "/a", "/a/0", "/a/-", "/b/c", "/__proto__", "/a/0/x", "nope");
  const operation = fc.record(
    { op: fc.constantFrom("add", "remove", "replace", "move", "copy", "test", "x"), path: pointer, from: pointer, value: fc.jsonValue() },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.jsonValue(), fc.array(operation, { maxLength: 5 }), (target, patch) => {
      try {
        applyJsonPatch({ a: [target], b: { c: target } }, patch);
      } catch (cause) {
        assert.ok(cause instanceof PatchError);
      }
    }),
  );
});

test("checkDepth() refuses patches of every kind that nest too deeply, however deep", () => {
  let deep: unknown = 1;
  for (let level = 0; level < 100_000; level += 1) deep = { a: deep };
  const tooDeep = { name: "PatchError", kind: "malformed", message: /deeper than 100 levels/ };
  assert.throws(() => applyJsonPatch({}, [{ op: "add", path: "/a", value: deep }]), tooDeep);
  assert.throws(() => applyMergePatch({}, deep), tooDeep);
  assert.throws(() => applyStrategicMergePatch({}, deep, "io.k8s.api.core.v1.Pod"), tooDeep);
});

test("applyJsonPatch() refuses copies that grow without end", () => {
  const patch = Array.from({ length: 64 }, (_, index) => ({ op: "copy", from: "/data", path: `/data/copy${index}` }));
  assert.throws(
    () => applyJsonPatch({ data: { a: "x".repeat(1_000) } }, patch),
    (error) => error instanceof PatchError && error.kind === "malformed" && error.message.includes("copies"),
  );
});
