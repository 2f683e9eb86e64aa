import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client } from "@peapod/client";
import { silentLogger, SteppingClock } from "@peapod/kit";
import { untilIdle } from "./idle-exit.ts";

const MINUTE_MS = 60_000;

for (const { what, stepMs } of [
  { what: "an hour forward", stepMs: 60 * MINUTE_MS },
  { what: "an hour back", stepMs: -60 * MINUTE_MS },
]) {
  test(`untilIdle() waits for as long as it is told though the clock goes ${what}`, async () => {
    const clock = new SteppingClock(600); // ten minutes in a second
    let looks = 0;
    const list = (async () => {
      if (++looks === 2) clock.step(stepMs);
      return { items: [], resourceVersion: "1" };
    }) as Client["list"]; // pods alone are listed
    const startedMs = clock.monotonicMs();
    await untilIdle({ client: { list } as Client, clock, log: silentLogger, idleMs: 5 * MINUTE_MS }, AbortSignal.timeout(10_000));
    const tookMs = clock.monotonicMs() - startedMs;
    assert.ok(tookMs >= 5 * MINUTE_MS, `${tookMs} ms`);
  });
}
