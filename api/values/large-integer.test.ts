import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "../fields/decode.ts";
import { cloneJson, equalJson } from "./json.ts";
import { applyJsonPatch } from "../patches/json-patch.ts";
import { LargeInteger, parseJson } from "./large-integer.ts";
import { applyMergePatch } from "../patches/merge-patch.ts";
import { applyStrategicMergePatch } from "../patches/strategic-merge-patch.ts";

const exact = ["9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808", "123456789012345678901234567890"];

test("parseJson() gives back every whole number as it was, wherever it stands, and other values as JSON.parse does", () => {
  for (const digits of exact) {
    const text = `{"a":${digits},"b":[${digits},1,-0.5,1e400,"1234567890123456"],"__proto__":{"c":${digits}},"d":9007199254740991}`;
    assert.equal(JSON.stringify(parseJson(text)), text.replace("1e400", "null"));
  }
  assert.deepEqual(parseJson('[1e30, 1234567890123456.5, "9007199254740993"]'), [1e30, 1234567890123456.5, "9007199254740993"]);
  for (let before = 0; before < 34; before += 1)
    assert.equal(JSON.stringify(parseJson(`${" ".repeat(before)}[9007199254740993]`)), "[9007199254740993]");
  assert.throws(() => parseJson('{"a": 9007199254740993'), SyntaxError);
  assert.equal(typeof (parseJson(`[${"1".repeat(65)}]`) as unknown[])[0], "number");
});

test("a LargeInteger is copied, compared and reckoned with as a number is", () => {
  const [one, same, other] = ["9007199254740993", "9007199254740993", "9007199254740995"].map((text) => new LargeInteger(text));
  assert.ok(equalJson({ a: [one] }, { a: [same] }) && !equalJson(one, other) && !equalJson(one, {}) && !equalJson({}, one));
  assert.equal(JSON.stringify(cloneJson({ a: [one] })), '{"a":[9007199254740993]}');
  assert.ok(Number(one) * 1_000 > 9e18 && String(one) === "9007199254740993");
});

const POD = "io.k8s.api.core.v1.Pod";
const pod = (grace: string): string => `{"spec":{"containers":[],"terminationGracePeriodSeconds":${grace}}}`;
const graceOf = (value: unknown): string => /"terminationGracePeriodSeconds":([^}]*)/.exec(JSON.stringify(value))?.[1] ?? "";

test("decode() takes an int64 to its last digit and refuses one more", () => {
  for (const grace of ["9223372036854775807", "-9223372036854775808", "9007199254740993"]) {
    const { value, problems } = decode(parseJson(pod(grace)), POD);
    assert.deepEqual([graceOf(value), problems], [grace, []]);
  }
  for (const grace of ["9223372036854775808", "-9223372036854775809", "92233720368547758080", "1e19"]) {
    const [problem] = decode(parseJson(pod(grace)), POD).problems;
    assert.match(
      `${problem?.path}: ${problem?.message}`,
      /terminationGracePeriodSeconds: wants a whole number \(int64\), found the number/,
    );
    if (grace !== "1e19") assert.ok(problem?.message.endsWith(grace), problem?.message);
  }
  const port = decode(parseJson('{"spec":{"containers":[{"name":"a","ports":[{"containerPort":9007199254740993}]}]}}'), POD).problems;
  assert.match(port[0]?.message ?? "", /int32.*9007199254740993/);
});

test("decode() reads a quantity that is written as a large number exactly", () => {
  const { value } = decode(parseJson('{"spec":{"containers":[{"name":"a","resources":{"limits":{"memory":9007199254740993}}}]}}'), POD);
  assert.match(JSON.stringify(value), /"memory":"9007199254740993"/);
});

test("all three patches carry whole numbers beyond 2^53", () => {
  const target = parseJson(pod("9223372036854775807"));
  const patch = parseJson('{"spec":{"terminationGracePeriodSeconds":9007199254740993}}');
  assert.equal(graceOf(applyMergePatch(target, patch)), "9007199254740993");
  assert.equal(graceOf(applyStrategicMergePatch(target, patch, POD)), "9007199254740993");
  const path = "/spec/terminationGracePeriodSeconds";
  const operations = parseJson(
    `[{"op":"test","path":"${path}","value":9223372036854775807},{"op":"copy","from":"/spec","path":"/copy"},{"op":"replace","path":"${path}","value":9007199254740993}]`,
  );
  const patched = applyJsonPatch(target, operations) as { copy: unknown };
  assert.equal(graceOf({ ...patched, copy: undefined }), "9007199254740993");
  assert.equal(graceOf(patched.copy), "9223372036854775807");
  assert.throws(() => applyJsonPatch(target, parseJson(`[{"op":"test","path":"${path}","value":9223372036854775806}]`)), /tests for/);
});
