import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { matchesLabels, parseLabelSelector, SelectorError } from "./label-selector.ts";

const matches: [selector: string, labels: Record<string, string> | undefined, want: boolean][] = [
  ["", undefined, true],
  ["", { a: "1" }, true],
  ["a", { a: "" }, true],
  ["a", {}, false],
  ["!a", {}, true],
  ["! a", { a: "1" }, false],
  ["a=1", { a: "1" }, true],
  ["a==1", { a: "1" }, true],
  ["a = 1", { a: "1" }, true],
  ["a=1", { a: "2" }, false],
  ["a=", { a: "" }, true],
  ["a=", {}, false],
  ["a!=1", { a: "2" }, true],
  ["a!=1", {}, true],
  ["a!=1", { a: "1" }, false],
  ["a in (1, 2)", { a: "2" }, true],
  ["a in (1,2)", { a: "3" }, false],
  ["a in (1)", {}, false],
  ["a in ()", { a: "" }, true],
  ["a notin (1,2)", { a: "3" }, true],
  ["a notin (1)", {}, true],
  ["a notin (1)", { a: "1" }, false],
  ["a in (1,2),b=3,!c", { a: "1", b: "3" }, true],
  ["a in (1,2),b=3,!c", { a: "1", b: "3", c: "" }, false],
  ["app.kubernetes.io/name=web", { "app.kubernetes.io/name": "web" }, true],
  ["in=1", { in: "1" }, true],
  ["a>1", { a: "2" }, true],
  ["a > 1", { a: "1" }, false],
  ["a>1", {}, false],
  ["a<10", { a: "9" }, true],
  ["a<10", { a: "b" }, false],
  ["constructor", {}, false],
];
for (const [selector, labels, want] of matches) {
  test(`matchesLabels() says ${want} to "${selector}" of ${JSON.stringify(labels)}`, () =>
    assert.equal(matchesLabels(parseLabelSelector(selector), labels), want));
}

for (const text of [
  "a=b=c",
  "a in 1",
  "a in (1",
  "=1",
  "a,,b",
  ",",
  "a b",
  "a=b c",
  "-a=1",
  "a=-",
  "!",
  "a/b/c",
  `${"x".repeat(64)}=1`,
  `a=${"x".repeat(64)}`,
  "a>x",
  "a>",
]) {
  test(`parseLabelSelector() refuses "${text.slice(0, 20)}"`, () =>
    assert.throws(() => parseLabelSelector(text), { name: "SelectorError", message: /^unable to parse requirement/ }));
}

test("parseLabelSelector() throws nothing but SelectorError", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-c(),!= in]{0,20}$/), (text) => {
      try {
        parseLabelSelector(text);
      } catch (cause) {
        assert.ok(cause instanceof SelectorError);
      }
    }),
  );
});
