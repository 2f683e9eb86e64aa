import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { indentContinuations } from "./indent-continuations.ts";
import { parseYaml } from "./yaml-document.ts";

const value = (text: string): unknown => {
  const { documents, problems } = parseYaml(text);
  assert.deepEqual(problems, [], text);
  return documents.map((document) => document.value);
};

const taken: { does: string; text: string; want: unknown }[] = [
  {
    does: "brackets that close below the field's name",
    text: "c:\n  args: [\n  a,\n  b\n  ]\n  d: e",
    want: [{ c: { args: ["a", "b"], d: "e" } }],
  },
  {
    does: "brackets that close at the start of the line",
    text: "c:\n  args: [\na, {b: c}\n]\n  d: e",
    want: [{ c: { args: ["a", { b: "c" }], d: "e" } }],
  },
  { does: "braces", text: "c: {\na: b\n}\nd: e", want: [{ c: { a: "b" }, d: "e" }] },
  { does: "tabs within braces", text: "c: {\n\ta: b\n  }", want: [{ c: { a: "b" } }] },
  { does: "double quotes", text: 'c:\n  d: "a\nb \\"\n\n  c"\n  e: f', want: [{ c: { d: 'a b "\nc', e: "f" } }] },
  { does: "a line that is joined by a backslash", text: 'c:\n  d: "a\\\nb"', want: [{ c: { d: "ab" } }] },
  { does: "single quotes", text: "c:\n  d: 'it''s\nb'\n  e: f", want: [{ c: { d: "it's b", e: "f" } }] },
  { does: "quotes within brackets", text: "c:\n  d: [\"a ]\nb\", '{\n']", want: [{ c: { d: ["a ] b", "{ "] } }] },
  {
    does: "what stands beside a block scalar",
    text: 'c:\n- d: |\n    [ "\n    {\n  e: [\n  x ]\n- |\n  {\n- f',
    want: [{ c: [{ d: '[ "\n{\n', e: ["x"] }, "{\n", "f"] }],
  },
  {
    does: "what stands beside quotes and brackets in plain text",
    text: "c: it's [x\nd: a #\"\ne: [\nf ]",
    want: [{ c: "it's [x", d: "a", e: ["f"] }],
  },
  { does: "each of several documents", text: "a: [\nb ]\n---\nc: {\nd: e }", want: [{ a: ["b"] }, { c: { d: "e" } }] },
];
for (const { does, text, want } of taken) test(`parseYaml() takes ${does}, indented or not`, () => assert.deepEqual(value(text), want));

test("indentContinuations() keeps what a text says, and its lines", () => {
  const files = globSync(join(import.meta.dirname, "../examples/**/*.yaml"));
  assert.ok(files.length > 10);
  const texts = [...files.map((file) => readFileSync(file, "utf8")), ...taken.map(({ text }) => text)];
  for (const text of texts) {
    const indented = indentContinuations(text);
    assert.deepEqual(value(indented), value(text));
    assert.equal(indented.split("\n").length, text.split("\n").length);
  }
});

test("parseYaml() still says where a string or a list is not closed", () => {
  for (const text of ['a: "b\nc: d\n', "a: [b\nc: d\n", "a: 1\nb: {c: d\ne: [f]\n"]) {
    const { documents, problems } = parseYaml(text);
    assert.deepEqual([documents.length, problems.length > 0], [0, true], text);
  }
});
