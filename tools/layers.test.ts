import assert from "node:assert/strict";
import { test } from "node:test";
import { exceptions, findViolations, sourceFiles } from "./layers.ts";

test("findViolations() finds no import outside the table", () => {
  assert.deepEqual(findViolations(), []);
});

test("sourceFiles() sees the parts", () => {
  const files = sourceFiles();
  for (const file of ["api/index.ts", "engine/main.ts", "engine/kubelet/decide/plan.ts", "cli/main.ts"])
    assert.ok(files.includes(file), file);
});

test("exceptions are fewer than five", () => {
  assert.ok(exceptions.length < 5);
});
