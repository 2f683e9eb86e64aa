import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyedLock } from "./keyed-lock.ts";

const never = new AbortController().signal;

test("KeyedLock.hold() lets one at a time to a key, the next after a failure too, and each key by itself", async () => {
  const lock = new KeyedLock();
  const seen: string[] = [];
  const { promise: gate, resolve } = Promise.withResolvers<void>();
  const first = lock.hold("a", never, async () => {
    seen.push("first");
    await gate;
    throw new Error("failed");
  });
  const [second, third] = ["second", "third"].map((name) =>
    lock.hold("a", never, async () => {
      seen.push(`${name} begins`);
      await Promise.resolve();
      seen.push(`${name} ends`);
    }),
  );
  assert.equal(await lock.hold("b", never, async () => "other"), "other");
  assert.deepEqual(seen, ["first"]);
  resolve();
  await assert.rejects(first, /failed/);
  await Promise.all([second, third]);
  assert.deepEqual(seen, ["first", "second begins", "second ends", "third begins", "third ends"]);
});

test("KeyedLock.hold() stops waiting when it is aborted, and does nothing then", async () => {
  const lock = new KeyedLock();
  const { promise: gate, resolve } = Promise.withResolvers<void>();
  const holder = lock.hold("a", never, () => gate);
  const stop = new AbortController();
  const waiting = lock.hold("a", stop.signal, () => assert.fail("done all the same"));
  stop.abort();
  await assert.rejects(waiting, (error) => error === stop.signal.reason);
  resolve();
  await holder;
});
