import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backoffMs } from "./backoff.ts";

test("backoffMs() doubles up to the longest", () => {
  const curve = { initialMs: 10_000, maximumMs: 300_000 };
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 6].map((attempt) => backoffMs(curve, attempt)),
    [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000],
  );
});

test("backoffMs() never shrinks, never passes the longest, and stays a number", () => {
  const curves = fc.record({ initialMs: fc.nat(60_000), maximumMs: fc.integer({ min: 60_000, max: 3_600_000 }) });
  fc.assert(
    fc.property(curves, fc.nat(), (curve, attempt) => {
      const [now, next] = [backoffMs(curve, attempt), backoffMs(curve, attempt + 1)];
      assert.ok(Number.isFinite(now) && now >= curve.initialMs && now <= next && next <= curve.maximumMs);
    }),
  );
});
