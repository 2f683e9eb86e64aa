import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KeyedWorker } from "./keyed-worker.ts";

/** A worker whose runs end when the test says so. */
class Bench {
  readonly open = new Map<string, () => void>();
  readonly runs: string[] = [];
  readonly worker = new KeyedWorker<string>((key) => {
    assert.ok(!this.open.has(key), `two runs of ${key} at once`);
    this.runs.push(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.open.set(key, resolve);
    return promise;
  });

  async finish(key: string): Promise<void> {
    this.open.get(key)?.();
    this.open.delete(key);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("KeyedWorker runs at once, and one more time for any number of notices meanwhile", async () => {
  const bench = new Bench();
  bench.worker.notify("a");
  assert.deepEqual(bench.runs, ["a"], "in the same tick");
  for (let notice = 0; notice < 5; notice++) bench.worker.notify("a");
  bench.worker.notify("b");
  assert.deepEqual(bench.runs, ["a", "b"], "another key does not wait");
  await bench.finish("a");
  await bench.finish("b");
  await bench.finish("a");
  await bench.worker.idle();
  assert.deepEqual(bench.runs, ["a", "b", "a"]);
});

test("KeyedWorker.idle() waits for what is notified meanwhile", async () => {
  const bench = new Bench();
  await bench.worker.idle();
  bench.worker.notify("a");
  let isIdle = false;
  const idle = bench.worker.idle().then(() => (isIdle = true));
  bench.worker.notify("b");
  await bench.finish("a");
  assert.equal(isIdle, false);
  await bench.finish("b");
  await idle;
});

type Step = { readonly kind: "notify" | "finish"; readonly key: string };
const steps = fc.array(fc.record<Step>({ kind: fc.constantFrom("notify", "finish"), key: fc.constantFrom("a", "b", "c") }), {
  maxLength: 40,
});

test("KeyedWorker follows its model for any order of notices and ends", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (order) => {
      const bench = new Bench();
      const model = new Map<string, "running" | "again">();
      const wanted: string[] = [];
      for (const { kind, key } of order) {
        const state = model.get(key);
        if (kind === "notify") {
          bench.worker.notify(key);
          model.set(key, state === undefined ? "running" : "again");
          if (state === undefined) wanted.push(key);
        } else if (state !== undefined) {
          await bench.finish(key);
          if (state === "again") {
            model.set(key, "running");
            wanted.push(key);
          } else model.delete(key);
        }
        assert.deepEqual(bench.runs, wanted);
        assert.deepEqual([...bench.open.keys()].toSorted(), [...model.keys()].toSorted());
      }
      while (bench.open.size > 0) for (const key of bench.open.keys()) await bench.finish(key);
      await bench.worker.idle();
    }),
    { numRuns: 200 },
  );
});
