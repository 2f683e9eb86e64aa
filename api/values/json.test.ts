import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { asList, asRecord, asString, cloneJson, equalJson, getField, setField } from "./json.ts";

test("cloneJson() makes an equal value that shares nothing", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const copy = cloneJson(value);
      assert.equal(JSON.stringify(copy), JSON.stringify(value));
      assert.ok(equalJson(copy, value));
      if (typeof value === "object" && value !== null) assert.notEqual(copy, value);
    }),
  );
});

test("equalJson() cares for the order of lists, not of fields", () => {
  assert.ok(equalJson({ a: 1, b: [1, { c: null }] }, { b: [1, { c: null }], a: 1 }));
  for (const [left, right] of [
    [
      [1, 2],
      [2, 1],
    ],
    [{ a: 1 }, { b: 1 }],
    [{ a: 1 }, {}],
    [[], {}],
    [null, {}],
    ["1", 1],
  ])
    assert.ok(!equalJson(left, right));
});

test("setField() and getField() take __proto__ for data", () => {
  const target: Record<string, unknown> = {};
  setField(target, "__proto__", { polluted: true });
  assert.deepEqual(Object.keys(target), ["__proto__"]);
  assert.equal(Reflect.get({}, "polluted"), undefined);
  assert.equal(getField({}, "toString"), undefined);
});

test("asRecord(), asList() and asString() give nothing for what is something else", () => {
  assert.deepEqual([asRecord([]), asRecord(null), asList({}), asString(1)], [undefined, undefined, [], undefined]);
  assert.deepEqual([asRecord({ a: 1 }), asList([1]), asString("x")], [{ a: 1 }, [1], "x"]);
});
