import assert from "node:assert/strict";
import { test } from "node:test";
import { flag, messageContent, named, repeated, text, wrapped } from "./protobuf-writer.ts";

const cases = [
  { does: "writes a string", bytes: text(2, "testing"), want: "120774657374696e67" }, // the example of the specification
  { does: "writes a bool with a number of two bytes", bytes: flag(16, true), want: "800101" },
  { does: "writes a length of two bytes", bytes: text(1, "a".repeat(300)).subarray(0, 4), want: "0aac0261" },
  { does: "writes a length in bytes, not letters", bytes: text(1, "ü"), want: "0a02c3bc" },
  { does: "writes nothing for an empty list", bytes: repeated(text)(1, []), want: "" },
  { does: "writes a message in a message", bytes: wrapped(text, 3)(1, "a"), want: "0a031a0161" },
  { does: "writes an object as names and values", bytes: named(text)(1, { a: "b", c: "d" }), want: "0a060a01611201620a060a0163120164" },
  {
    does: "leaves out what a message does not have",
    bytes: messageContent({ a: { number: 1, write: text } }, { a: "b", c: "d", constructor: 1 }),
    want: "0a0162",
  },
];
for (const { does, bytes, want } of cases) {
  void test(`the protobuf writer ${does}`, () => assert.equal(bytes.toString("hex"), want));
}
