import assert from "node:assert/strict";
import { test } from "node:test";
import { parseYaml } from "./yaml-document.ts";

const value = (text: string): unknown => parseYaml(text).documents[0]?.value;

test("parseYaml() reads scalars as go-yaml does", () => {
  const cases: Record<string, unknown> = {
    "0644": 420,
    "0o644": 420,
    "0x1F": 31,
    yes: true,
    off: false,
    on: true,
    "12:30": "12:30",
    "2001-01-01": "2001-01-01",
    "1_000": 1000,
    "1.5": 1.5,
    '"0644"': "0644",
    "~": null,
    "8080:80": "8080:80",
    "=": "=",
  };
  for (const [text, want] of Object.entries(cases)) assert.deepEqual(value(`a: ${text}`), { a: want }, text);
});

test("parseYaml() reads whole numbers of any length as they are, and as JSON", () => {
  for (const digits of ["9007199254740993", "-9223372036854775808", "9223372036854775808", "9007199254740991"])
    assert.equal(JSON.stringify(value(`a: ${digits}\nb: {"c": [${digits}, 7]}`)), `{"a":${digits},"b":{"c":[${digits},7]}}`);
});

test("parseYaml() takes what kubectl takes beyond YAML", () => {
  const cases: Record<string, unknown[]> = {
    [String.raw`a: "it\'s \\"`]: [{ a: String.raw`it's \ `.trimEnd() }],
    [String.raw`{"\'": "b"}`]: [{ "'": "b" }],
    "\uFEFFa: 1\n---\n\uFEFFb: 2": [{ a: 1 }, { b: 2 }],
    "a: |\r\n  b\r\n  c\r\n---\r\nd: e\r\n": [{ a: "b\nc\n" }, { d: "e" }],
    "a: |\r  b\r": [{ a: "b\n" }],
    "a: 1\n---# next\nb: 2\n--- # last\n# nothing": [{ a: 1 }, { b: 2 }],
    "a: !!binary aGVsbG8=": [{ a: "hello" }],
    "a:\t1\t# tabs": [{ a: 1 }],
  };
  for (const [text, want] of Object.entries(cases))
    assert.deepEqual({ text, documents: parseYaml(text).documents.map(({ value: each }) => each) }, { text, documents: want });
});

test("parseYaml() reads JSON objects that follow one another, each with its lines", () => {
  const text = '{\n"a": "}{"}\n{"b":\n"\\\\"} {"c": 3}{"d":\n4}\n---\ne: 5\n---\n{"f": 6}\n\n{"g": 7}\n';
  const { documents, problems } = parseYaml(text);
  assert.deepEqual(problems, []);
  assert.deepEqual(
    documents.map((document) => [document.value, document.lineOf(Object.keys(document.value as object))]),
    [
      [{ a: "}{" }, 2],
      [{ b: "\\" }, 3],
      [{ c: 3 }, 4],
      [{ d: 4 }, 4],
      [{ e: 5 }, 7],
      [{ f: 6 }, 9],
      [{ g: 7 }, 11],
    ],
  );
  assert.deepEqual(value("{a: '} {', b: '}{'}"), { a: "} {", b: "}{" });
});

test("parseYaml() refuses what JSON cannot say, and Node.js warns of nothing", () => {
  const warnings: Error[] = [];
  const listen = (warning: Error): unknown => warnings.push(warning);
  process.on("warning", listen);
  for (const text of ["a: 1\n{b: c}: d", "a: 1\n? [b]\n: c", "a: 1\n~: b", "a: 1\nb: .inf"]) {
    const { documents, problems } = parseYaml(text);
    assert.deepEqual([documents.length, problems.map(({ line }) => line)], [0, [2]], text);
  }
  return new Promise<void>((resolve) =>
    setImmediate(() => {
      process.off("warning", listen);
      assert.deepEqual(warnings, []);
      resolve();
    }),
  );
});

test("sourceOf() gives what was written without quotes", () => {
  const [document] = parseYaml('a: {b: [1.10, "x", yes]}\nc: &c 010\nd: *c\ne: {}').documents;
  const sources = [["a", "b", 0], ["a", "b", 1], ["a", "b", 2], ["c"], ["d"], ["e"], ["f"]].map((path) => document?.sourceOf(path));
  assert.deepEqual(sources, ["1.10", undefined, "yes", "010", "010", undefined, undefined]);
});

test("parseYaml() merges maps and follows aliases", () => {
  assert.deepEqual(value("base: &b {x: 1}\nuse:\n  <<: *b\n  z: 2"), { base: { x: 1 }, use: { x: 1, z: 2 } });
});

test("parseYaml() reads several documents, and leaves empty ones out", () => {
  assert.deepEqual(
    parseYaml("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n").documents.map((document) => document.value),
    [{ a: 1 }, { b: 2 }],
  );
});

test("parseYaml() reads JSON, with tabs and escapes", () => {
  assert.deepEqual(value('{\n\t"a": "x\\/y\\u00e9", "b": [1, 2.5, true, null]\n}'), { a: "x/y\u00e9", b: [1, 2.5, true, null] });
});

test("parseYaml() says where the text is no YAML, and goes on with the other documents", () => {
  const { documents, problems } = parseYaml("a: 1\na: 2\n---\nb: [1\n---\nc: 3\n");
  assert.deepEqual(
    documents.map((document) => document.value),
    [{ c: 3 }],
  );
  assert.deepEqual(problems.map(({ line }) => line)[0], 2);
  assert.equal(problems[0]?.message, "this key is there twice");
  assert.ok(problems.some(({ line }) => line >= 4));
});

test("parseYaml() refuses aliases that would grow without bound", () => {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 9; level += 1)
    lines.push(`a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(", ")}]`);
  assert.match(parseYaml(lines.join("\n")).problems[0]?.message ?? "", /too many aliases/);
});

test("lineOf() gives the line of a field's name, an item, or what is nearest", () => {
  const [document] = parseYaml("kind: Pod\nspec:\n  containers:\n  - name: a\n  - name: b\n    image: x\n").documents;
  const lineOf = (...path: (string | number)[]): number | undefined => document?.lineOf(path);
  assert.deepEqual(
    [
      lineOf("kind"),
      lineOf("spec", "containers"),
      lineOf("spec", "containers", 1),
      lineOf("spec", "containers", 1, "image"),
      lineOf("spec", "containers", 1, "command"),
      lineOf("status"),
    ],
    [1, 3, 5, 6, 5, 1],
  );
});
