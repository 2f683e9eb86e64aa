import assert from "node:assert/strict";
import { test } from "node:test";
import { LatestHub } from "./latest-hub.ts";

test("LatestHub gives each listener the latest of each key, from when it listens until it is told to stop", async () => {
  const hub = new LatestHub<number>();
  hub.publish("a", 0);
  const stop = new AbortController();
  const [quick, slow] = [hub.listen(stop.signal)[Symbol.asyncIterator](), hub.listen(stop.signal)[Symbol.asyncIterator]()];
  const next = quick.next();
  hub.publish("a", 1);
  assert.deepEqual(await next, { value: 1, done: false });
  hub.publish("b", 2);
  hub.publish("a", 3);
  assert.deepEqual(await quick.next(), { value: 2, done: false });
  assert.deepEqual(
    [await slow.next(), await slow.next()],
    [
      { value: 3, done: false },
      { value: 2, done: false },
    ],
  );
  const last = slow.next();
  stop.abort();
  assert.equal((await last).done, true);
  assert.equal((await hub.listen(stop.signal)[Symbol.asyncIterator]().next()).done, true);
});
