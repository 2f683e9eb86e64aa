import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  type Quantity,
  quantityToMilli,
  quantityToNumber,
  roundUpToMilli,
} from "./quantity.ts";

const canonical: [written: string, kept: string | undefined][] = [
  ["0", "0"],
  ["-0", "0"],
  ["1000m", "1"],
  ["0.5", "500m"],
  [".5", "500m"],
  ["1.", "1"],
  ["+7", "7"],
  ["-5", "-5"],
  ["1500", "1500"],
  ["1000", "1k"],
  ["1000000n", "1m"],
  ["1024Mi", "1Gi"],
  ["1.5Gi", "1536Mi"],
  ["1023Ki", "1023Ki"],
  ["0.5Ki", "512"],
  ["0.1Ki", "102400m"],
  ["8Ei", "9223372036854775807"],
  ["1E", "1E"],
  ["1e3", "1e3"],
  ["12000e3", "12e6"],
  ["1e-3", "1e-3"],
  ["1000E", "1e21"],
  ["0.1n", "1n"],
  ["1.2345", "1234500u"],
  ["", undefined],
  [".", undefined],
  ["1e", undefined],
  ["1 Gi", undefined],
  ["Gi", undefined],
  ["1gi", undefined],
  ["1e9999999999", undefined],
  ["0x10", undefined],
  ["--1", undefined],
  ["1".repeat(65), undefined],
];
for (const [written, kept] of canonical) {
  test(`canonicalQuantity() makes ${kept ?? "nothing"} of "${written.slice(0, 20)}"`, () => assert.equal(canonicalQuantity(written), kept));
}

const anyQuantity: fc.Arbitrary<Quantity> = fc.record({
  nanos: fc.bigInt({ min: -(10n ** 27n), max: 10n ** 27n }),
  format: fc.constantFrom("DecimalSI" as const, "BinarySI" as const, "DecimalExponent" as const),
});

test("formatQuantity() loses nothing that parseQuantity() reads, and is stable", () => {
  fc.assert(
    fc.property(anyQuantity, (quantity) => {
      const text = formatQuantity(quantity);
      assert.equal(parseQuantity(text)?.nanos, quantity.nanos);
      assert.equal(canonicalQuantity(text), text);
    }),
  );
});

test("parseQuantity() takes any text without throwing", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.stringMatching(/^[+-]?[0-9.]{0,5}[eEinumkKMGTP]{0,3}[-+]?[0-9]{0,4}$/)),
      (text) => void parseQuantity(text),
    ),
  );
});

test("compareQuantities() orders by size, whatever the suffix", () => {
  const sorted = ["-1", "1n", "999m", "1", "1k", "1Ki", "1M", "1Mi"];
  const parsed = sorted.map((text) => ({ text, quantity: parseQuantity(text) ?? assert.fail(text) }));
  const again = parsed.toReversed().sort((left, right) => compareQuantities(left.quantity, right.quantity));
  assert.deepEqual(
    again.map(({ text }) => text),
    sorted,
  );
});

test("addQuantities() keeps the first one's suffixes", () => {
  const [left, right] = [parseQuantity("1Gi"), parseQuantity("1073741824")];
  assert.ok(left !== undefined && right !== undefined);
  assert.equal(formatQuantity(addQuantities(left, right)), "2Gi");
  assert.equal(formatQuantity(addQuantities(right, left)), "2147483648");
});

test("roundUpToMilli() rounds away from zero", () => {
  const round = (text: string): string => formatQuantity(roundUpToMilli(parseQuantity(text) ?? assert.fail(text)));
  assert.deepEqual(["1u", "1.0001", "-1u", "2"].map(round), ["1m", "1001m", "-1m", "2"]);
});

test("quantityToNumber() and quantityToMilli() round up and stay in range", () => {
  assert.equal(quantityToNumber("64Mi"), 67_108_864);
  assert.equal(quantityToNumber("1500m"), 2);
  assert.equal(quantityToNumber("8Ei"), Number.MAX_SAFE_INTEGER);
  assert.equal(quantityToMilli("0.5"), 500);
  assert.equal(quantityToMilli("1u"), 1);
  assert.throws(() => quantityToNumber("much"), /Cannot read "much" as a quantity/);
});
