import assert from "node:assert/strict";
import { test } from "node:test";
import { nameFromPrefix } from "./generate-name.ts";
import { labelName } from "./names.ts";

test("nameFromPrefix() adds five letters, and stays a label whatever the prefix's length", () => {
  assert.match(nameFromPrefix("web-"), /^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  for (const random of [() => 0, () => 0.999_999]) assert.deepEqual(labelName(nameFromPrefix("a".repeat(100), random)), []);
});
