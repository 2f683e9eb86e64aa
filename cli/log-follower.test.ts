import assert from "node:assert/strict";
import { test } from "node:test";
import { LogPlace } from "./log-follower.ts";

test("LogPlace.isNew() takes every line once, also of one time, wherever the stream breaks", () => {
  const log = ["1", "1", "2", "3", "3", "3", "4"].map((time, index) => ({ time, bytes: Buffer.from(String(index)) }));
  for (let cut = 0; cut <= log.length; cut += 1) {
    const place = new LogPlace();
    const first = log.slice(0, cut).filter((line) => place.isNew(line));
    place.resume();
    const since = place.time;
    const second = log.filter(({ time }) => time >= since).filter((line) => place.isNew(line));
    assert.deepEqual([...first, ...second], log, `cut at ${cut}`);
  }
});
