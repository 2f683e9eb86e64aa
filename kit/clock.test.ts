import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "./clock.ts";

test("systemClock.sleep() takes its time", async () => {
  const startedMs = performance.now();
  await systemClock.sleep(30, new AbortController().signal);
  assert.ok(performance.now() - startedMs >= 29);
});

test("systemClock.sleep() rejects with the signal's own reason, before and amid", async () => {
  const reason = new Error("enough");
  const is = (error: unknown) => error === reason;
  await assert.rejects(systemClock.sleep(60_000, AbortSignal.abort(reason)), is);
  const stop = new AbortController();
  const sleeping = systemClock.sleep(60_000, stop.signal);
  stop.abort(reason);
  await assert.rejects(sleeping, is);
});

test("systemClock.nowMs() is the time of day", () => {
  assert.ok(Math.abs(systemClock.nowMs() - Date.now()) < 1_000);
});
