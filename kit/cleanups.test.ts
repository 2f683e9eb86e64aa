import assert from "node:assert/strict";
import { test } from "node:test";
import { Cleanups } from "./cleanups.ts";
import { systemClock } from "./clock.ts";
import { eventually } from "./eventually.ts";
import { createLogger } from "./log.ts";

function world(t: { after(release: () => void): void }) {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const lines: string[] = [];
  const slept: number[] = [];
  const clock = { ...systemClock, sleep: async (ms: number, signal: AbortSignal) => (slept.push(ms), systemClock.sleep(1, signal)) };
  const log = createLogger({ level: "debug", write: (line) => lines.push((JSON.parse(line) as { message: string }).message) });
  return { cleanups: new Cleanups({ clock, log, signal: stop.signal }), lines, slept, stop };
}

test("Cleanups tries what failed again, ever more rarely, until it is done", async (t) => {
  const { cleanups, lines, slept } = world(t);
  let tries = 0;
  const act = (): void => {
    tries += 1;
    if (tries < 4) throw new Error("busy");
  };
  assert.equal(await cleanups.attempt("folder", act), false);
  assert.deepEqual(cleanups.waiting, ["folder"]);
  await eventually(async () => assert.deepEqual(cleanups.waiting, []), { withinMs: 1_000 });
  assert.equal(tries, 4);
  assert.deepEqual(slept, [5_000, 10_000, 20_000]);
  assert.deepEqual(lines, [
    "clean-up failed, tried again later",
    "clean-up failed again",
    "clean-up failed again",
    "clean-up done at last",
  ]);
});

test("Cleanups stops with its signal, and says nothing of what succeeds", async (t) => {
  const { cleanups, lines, stop } = world(t);
  assert.equal(await cleanups.attempt("one", async () => {}), true);
  assert.deepEqual(lines, []);
  const failing = async (): Promise<void> => Promise.reject(new Error("always"));
  await cleanups.attempt("two", failing);
  stop.abort();
  await eventually(async () => assert.deepEqual(cleanups.waiting, []), { withinMs: 1_000 });
});
