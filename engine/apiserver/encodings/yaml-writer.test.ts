import assert from "node:assert/strict";
import { test } from "node:test";
import { exactNumber, yamlDialect } from "@peapod/client";
import { LargeInteger, parseJson } from "@peapod/api";
import fc from "fast-check";
import { parse } from "yaml";
import { writeYaml } from "./yaml-writer.ts";

const read = (text: string): unknown => parse(text, exactNumber, { ...yamlDialect, uniqueKeys: false });

test("writeYaml() writes an object as people do", () => {
  const object = {
    kind: "ConfigMap",
    apiVersion: "v1",
    metadata: {
      name: "a",
      creationTimestamp: "2026-01-01T00:00:00Z",
      labels: {},
      missing: undefined,
      generation: new LargeInteger("9007199254740993"),
    },
    data: { "a.conf": "listen 80\n\n  root /srv\n", on: "yes", port: "80", end: "a\nb", more: "a\n\n", empty: "", "k: y": " x" },
    items: [{ name: "x", list: ["a", "1", 1, null, []] }, {}, [["deep"]], true],
  };
  assert.equal(
    writeYaml(object),
    `apiVersion: v1
data:
  a.conf: |
    listen 80

      root /srv
  empty: ""
  end: |-
    a
    b
  "k: y": " x"
  more: |+
    a

  "on": "yes"
  port: "80"
items:
- list:
  - a
  - "1"
  - 1
  - null
  - []
  name: x
- {}
-
  -
    - deep
- true
kind: ConfigMap
metadata:
  creationTimestamp: "2026-01-01T00:00:00Z"
  generation: 9007199254740993
  labels: {}
  name: a
`,
  );
});

const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({
    unit: fc.constantFrom(
      "a",
      "\n",
      " ",
      ":",
      "#",
      "-",
      "\t",
      "é",
      "0",
      "\r",
      "\u0085",
      "\u2028",
      "~",
      "'",
      '"',
      "\\",
      "|",
      ">",
      "!",
      "&",
      "*",
      "?",
      "[",
      "{",
      ",",
      "%",
      "@",
      "`",
      "<",
      "=",
    ),
  }),
  fc.constantFrom(
    "true",
    "No",
    "null",
    "~",
    "1_000",
    "0o7",
    "012",
    "12:30",
    "1e3",
    ".inf",
    "<<",
    "2001-01-01",
    "-",
    "---",
    "...",
    "",
    "x: y",
    "a #b",
    "0x1F",
    "+1",
    "y",
  ),
);
const value = fc.letrec((tie) => ({
  node: fc.oneof(
    { depthSize: "medium" },
    text,
    fc.boolean(),
    fc.constant(null),
    fc.integer(),
    fc.double({ noDefaultInfinity: true, noNaN: true }),
    fc.array(tie("node"), { maxLength: 4 }),
    fc.dictionary(text, tie("node"), { maxKeys: 4, noNullPrototype: true }),
  ),
})).node;

test("writeYaml() writes any JSON so that it is read as what it was", () => {
  fc.assert(
    fc.property(value, (given) => {
      const json = parseJson(JSON.stringify(given));
      assert.deepEqual(read(writeYaml(json)), json);
    }),
    { numRuns: 2_000 },
  );
});
