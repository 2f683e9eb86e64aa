import assert from "node:assert/strict";
import { test } from "node:test";
import { humanDuration } from "./durations.ts";

// What is wanted here is read from upstream: apimachinery's duration.go.

const durations: [number, string][] = [
  [-2, "<invalid>"], [-1, "0s"], [0, "0s"], [119, "119s"], [120, "2m"], [121, "2m1s"], [599, "9m59s"], [600, "10m"], [3 * 3600 - 1, "179m"], [3 * 3600, "3h"],
  [3 * 3600 + 60, "3h1m"], [8 * 3600 - 1, "7h59m"], [8 * 3600, "8h"], [48 * 3600 - 1, "47h"], [48 * 3600, "2d"], [49 * 3600, "2d1h"], [8 * 86400, "8d"],
  [730 * 86400 - 1, "729d"], [730 * 86400, "2y"], [731 * 86400, "2y1d"], [8 * 365 * 86400, "8y"],
]; // prettier-ignore
for (const [seconds, want] of durations) {
  test(`humanDuration() says ${want} for ${seconds} seconds`, () => {
    assert.equal(humanDuration(seconds * 1_000), want);
  });
}
