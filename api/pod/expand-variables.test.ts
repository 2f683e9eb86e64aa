import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { expandVariables } from "./expand-variables.ts";

const variables = { A: "1", B: "$(A)", "odd name": "2", EMPTY: "" };
const cases: [text: string, want: string][] = [
  ["", ""],
  ["plain", "plain"],
  ["$(A)", "1"],
  ["x$(A)y$(A)", "x1y1"],
  ["$(B)", "$(A)"],
  ["[$(EMPTY)]", "[]"],
  ["$(MISSING)", "$(MISSING)"],
  ["$$(A)", "$(A)"],
  ["$$$(A)", "$1"],
  ["$$$$(A)", "$$(A)"],
  ["$$", "$"],
  ["$", "$"],
  ["$A", "$A"],
  ["$(A", "$(A"],
  ["$()", "$()"],
  ["$(odd name)", "2"],
  ["$(constructor)", "$(constructor)"],
  ["$($(A))", "$($(A))"],
];
for (const [text, want] of cases)
  test(`expandVariables() makes "${want}" of "${text}"`, () => assert.equal(expandVariables(text, variables), want));

test("expandVariables() leaves a text without dollar signs as it is", () => {
  fc.assert(
    fc.property(fc.string(), (text) => assert.equal(expandVariables(text.replaceAll("$", ""), variables), text.replaceAll("$", ""))),
  );
});
