import assert from "node:assert/strict";
import { test } from "node:test";
import { SteppingClock } from "./stepping-clock.ts";

test("SteppingClock runs fast, and steps its wall clock alone", async () => {
  const clock = new SteppingClock(1_000);
  const before = { wall: clock.nowMs(), monotonic: clock.monotonicMs() };
  await clock.sleep(20_000, new AbortController().signal);
  clock.step(-3_600_000);
  const passedMs = clock.monotonicMs() - before.monotonic;
  assert.ok(passedMs >= 19_000, `${passedMs} ms`);
  const steppedMs = clock.nowMs() - before.wall - passedMs;
  assert.ok(steppedMs >= -3_600_000 && steppedMs < -3_500_000, `${steppedMs} ms`);
});
