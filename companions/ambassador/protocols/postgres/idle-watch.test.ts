import assert from "node:assert/strict";
import { test } from "node:test";
import { IdleWatch } from "./idle-watch.ts";
import { formatMessage } from "./messages.ts";

const ready = (status: string): Buffer => formatMessage("Z", Buffer.from(status));

test("IdleWatch knows a server that waits, a transaction that is open, and a result that is not at its end", () => {
  const watch = new IdleWatch();
  assert.equal(watch.isIdle, true, "after the login");
  for (const [says, isIdle] of [
    [ready("T"), false],
    [ready("E"), false],
    [ready("I"), true],
    [formatMessage("D", Buffer.alloc(9)), false],
    [ready("I"), true],
  ] as const) {
    watch.see(says);
    assert.equal(watch.isIdle, isIdle, says.toString());
  }
});

test("IdleWatch sees the same wherever the bytes are cut", () => {
  const says = Buffer.concat([ready("T"), formatMessage("C", Buffer.from("COMMIT\0")), ready("I")]);
  for (let cut = 0; cut <= says.length; cut += 1) {
    const watch = new IdleWatch();
    for (const piece of [says.subarray(0, cut), says.subarray(cut)]) watch.see(piece);
    assert.equal(watch.isIdle, true, `cut at ${cut}`);
  }
  const watch = new IdleWatch();
  for (const byte of says) watch.see(Buffer.of(byte));
  assert.equal(watch.isIdle, true, "one by one");
});
