import assert from "node:assert/strict";
import { test } from "node:test";
import { readiness } from "./health.ts";

const well = { name: "store", problem: () => undefined };
const ill = { name: "disk", problem: () => "it is full" };

const cases = [
  { does: "is ok", checks: [well], verbose: false, code: 200, text: "ok" },
  { does: "lists what is well when asked", checks: [well], verbose: true, code: 200, text: "[+]store ok\nreadyz check passed\n" },
  {
    does: "says what is not",
    checks: [well, ill],
    verbose: false,
    code: 500,
    text: "[+]store ok\n[-]disk failed: it is full\nreadyz check failed\n",
  },
];
for (const { does, checks, verbose, code, text } of cases)
  void test(`readiness() ${does}`, () => assert.deepEqual(readiness(checks, verbose), { code, text }));
