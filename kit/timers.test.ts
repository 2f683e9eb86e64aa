import assert from "node:assert/strict";
import { test } from "node:test";
import { abortAfter, delay, startInterval, startTimer } from "./timers.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** What fires at once where the runtime's own limit is not minded: 2^31 ms, and what real graces and limits come to. */
const LONG_MS = [2 ** 31, 30 * DAY_MS, 2 ** 53, Infinity];

/** Long enough for a timer that fires at once, twice over. */
const untilMuchLater = async (): Promise<void> => delay(20);

test("startTimer() waits out what is longer than the runtime's own timers", async () => {
  for (const ms of LONG_MS) {
    let fired = false;
    using timer = startTimer(() => (fired = true), ms);
    await untilMuchLater();
    assert.equal(fired, false, `${ms} ms`);
    assert.ok(timer);
  }
});

test("startTimer() goes on where one of the runtime's timers ends", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  let fired = 0;
  startTimer(() => (fired += 1), 30 * DAY_MS);
  for (const [day, want] of [
    [24, 0],
    [6.1, 1],
    [60, 1],
  ] as const) {
    nowMs += day * DAY_MS;
    t.mock.timers.tick(day * DAY_MS);
    // The part that began late began at the mock's own time.
    t.mock.timers.tick(DAY_MS);
    nowMs += DAY_MS;
    assert.equal(fired, want, `after ${day} more days`);
  }
});

test("startTimer() never fires once it is disposed", async () => {
  let fired = false;
  startTimer(() => (fired = true), 1)[Symbol.dispose]();
  await untilMuchLater();
  assert.equal(fired, false);
});

test("startInterval() calls again and again, until it is disposed of, by what it calls too", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let calls = 0;
  const timer = startInterval(() => {
    calls += 1;
    if (calls < 3) return;
    timer[Symbol.dispose]();
    resolve();
  }, 1);
  await promise;
  await untilMuchLater();
  assert.equal(calls, 3);
});

test("startInterval() waits out what is longer than the runtime's own timers", async () => {
  for (const ms of LONG_MS) {
    let calls = 0;
    using _timer = startInterval(() => (calls += 1), ms);
    await untilMuchLater();
    assert.equal(calls, 0, `${ms} ms`);
  }
});

test("delay() takes its time, and ends with the signal's own reason", async () => {
  const startedMs = performance.now();
  await delay(30);
  assert.ok(performance.now() - startedMs >= 29);
  const reason = new Error("enough");
  const is = (error: unknown): boolean => error === reason;
  await assert.rejects(delay(60_000, AbortSignal.abort(reason)), is);
  for (const ms of [60_000, ...LONG_MS]) {
    const stop = new AbortController();
    const waiting = delay(ms, stop.signal);
    stop.abort(reason);
    await assert.rejects(waiting, is);
  }
});

test("abortAfter() aborts with a TimeoutError, and not before", async () => {
  for (const ms of LONG_MS) {
    const signal = abortAfter(ms);
    await untilMuchLater();
    assert.equal(signal.aborted, false, `${ms} ms`);
  }
  const soon = abortAfter(1);
  await delay(60_000, soon).catch((cause: unknown) => assert.equal((cause as Error).name, "TimeoutError"));
  assert.equal(soon.aborted, true);
});
