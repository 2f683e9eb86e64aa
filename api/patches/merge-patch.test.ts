import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { equalJson } from "../values/json.ts";
import { applyMergePatch } from "./merge-patch.ts";

// The examples of RFC 7386, appendix A.
const cases: [target: unknown, patch: unknown, want: unknown][] = [
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [
    ["a", "b"],
    ["c", "d"],
    ["c", "d"],
  ],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];
for (const [target, patch, want] of cases) {
  test(`applyMergePatch() makes ${JSON.stringify(want)} of ${JSON.stringify(target)} and ${JSON.stringify(patch)}`, () =>
    assert.deepEqual(applyMergePatch(target, patch), want));
}

test("applyMergePatch() changes neither of the two, applies twice as once, and never reaches a prototype", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (target, patch) => {
      const before = [JSON.stringify(target), JSON.stringify(patch)];
      const once = applyMergePatch(target, patch);
      assert.ok(equalJson(applyMergePatch(once, patch), once));
      assert.deepEqual([JSON.stringify(target), JSON.stringify(patch)], before);
    }),
  );
  applyMergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}'));
  assert.equal(Reflect.get({}, "polluted"), undefined);
});
