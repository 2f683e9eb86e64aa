import assert from "node:assert/strict";
import { test } from "node:test";
import { exceptions, findCircles, findClock, findViolations, layers, sourceFiles } from "./layers.ts";

test("findViolations() finds no import outside the table", () => {
  assert.deepEqual(findViolations(), []);
});

test("findCircles() finds no files that import each other", () => {
  assert.deepEqual(findCircles(), []);
});

test("sourceFiles() sees the parts", () => {
  const files = sourceFiles();
  for (const file of ["api/index.ts", "engine/main.ts", "engine/kubelet/decide/plan.ts", "cli/main.ts"])
    assert.ok(files.includes(file), file);
});

test("exceptions are fewer than five", () => {
  assert.ok(exceptions.length < 5);
});

test("what the kubelet decides is pure: it imports nothing of Node, and the time is an argument", () => {
  const decide = layers.find(({ path }) => path === "engine/kubelet/decide");
  assert.deepEqual([decide?.node, decide?.clock], [false, false]);
  for (const text of ["Date.now()", "new Date()", "performance.now()", "setTimeout(go, 1)", "Math.random()", "process.hrtime()"])
    assert.ok(findClock(`const x = ${text};`) !== undefined, text);
  for (const text of ["new Date(nowMs)", "Date.parse(text)", "planProcess.kind"]) assert.equal(findClock(`const x = ${text};`), undefined);
});
