import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { splitLines } from "./lines.ts";

async function* pieces(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    yield bytes.slice(from, cut);
    from = cut;
  }
}

async function linesOf(source: AsyncIterable<Uint8Array>, limitBytes = 1_000): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of splitLines(source, limitBytes)) lines.push(Buffer.from(line).toString("latin1"));
  return lines;
}

/** What splitLines() means, in the plainest words: the last line counts if it has anything, and a long one comes in pieces. */
function model(text: string, limitBytes: number): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.flatMap((line) => (line === "" ? [""] : (line.match(new RegExp(`[^]{1,${limitBytes}}`, "g")) ?? [])));
}

const text = Buffer.from("one\n\nzwei – drei\n🦭\r\nlong long long line\nlast");

test("splitLines() gives the same lines wherever the input is cut", async () => {
  const wanted = model(text.toString("latin1"), 9);
  assert.ok(wanted.length > 6);
  for (let cut = 0; cut <= text.length; cut++) assert.deepEqual(await linesOf(pieces(text, [cut]), 9), wanted, `cut at ${cut}`);
  const everywhere = Array.from({ length: text.length }, (_unused, index) => index);
  assert.deepEqual(await linesOf(pieces(text, everywhere), 9), wanted);
});

test("splitLines() does so for any input, any cuts, any limit", async () => {
  const inputs = fc
    .array(fc.constantFrom("\n", "a", "bc", "ü".repeat(3), "x".repeat(20)), { maxLength: 30 })
    .map((parts) => Buffer.from(parts.join("")));
  await fc.assert(
    fc.asyncProperty(inputs, fc.array(fc.nat(200)), fc.integer({ min: 1, max: 25 }), async (bytes, anywhere, limitBytes) => {
      const cuts = anywhere.filter((cut) => cut <= bytes.length).toSorted((left, right) => left - right);
      assert.deepEqual(await linesOf(pieces(bytes, cuts), limitBytes), model(bytes.toString("latin1"), limitBytes));
    }),
  );
});

test("splitLines() gives a line as soon as it is whole, and lets go of the source when nobody reads on", async () => {
  let isClosed = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      yield Buffer.from("first\nsec");
      throw new Error("asked for more than was needed");
    } finally {
      isClosed = true;
    }
  }
  for await (const line of splitLines(source(), 100)) {
    assert.equal(Buffer.from(line).toString(), "first");
    break;
  }
  assert.ok(isClosed);
});

test("splitLines() keeps no more than a line of what it read", async () => {
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (let chunk = 0; chunk < 1_000; chunk++) yield Buffer.alloc(1_000, "x");
  }
  let pieceCount = 0;
  for await (const line of splitLines(endless(), 1_500)) {
    pieceCount++;
    assert.ok(line.length <= 1_500);
  }
  assert.equal(pieceCount, Math.ceil(1_000_000 / 1_500));
});
