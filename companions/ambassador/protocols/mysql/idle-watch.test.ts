import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { IdleWatch } from "./idle-watch.ts";
import { encodePacket } from "./packet-channel.ts";

const row = encodePacket(3, Buffer.from("\x05value"));
const cases: { does: string; bytes: Buffer; want: boolean }[] = [
  { does: "after OK", bytes: encodePacket(1, Buffer.from("00000002000000", "hex")), want: true },
  {
    does: "after OK with many rows and a long text",
    bytes: encodePacket(1, Buffer.from(`00fce80305020000003132${"61".repeat(90)}`, "hex")),
    want: true,
  },
  { does: "after a result's EOF", bytes: Buffer.concat([row, encodePacket(4, Buffer.from("fe00000200", "hex"))]), want: true },
  { does: "after a result's OK", bytes: Buffer.concat([row, encodePacket(4, Buffer.from("fe000002000000", "hex"))]), want: true },
  { does: "in a transaction", bytes: encodePacket(1, Buffer.from("00000003000000", "hex")), want: false },
  { does: "with autocommit off", bytes: encodePacket(1, Buffer.from("00000000000000", "hex")), want: false },
  { does: "between two results", bytes: encodePacket(1, Buffer.from("0000000a000000", "hex")), want: false },
  { does: "in the middle of a result", bytes: row, want: false },
  { does: "before the server said anything", bytes: Buffer.alloc(0), want: false },
];
for (const { does, bytes, want } of cases) {
  test(`IdleWatch says ${want ? "idle" : "busy"} ${does}, cut at every byte`, () => {
    for (let at = 0; at <= bytes.length; at++) {
      const watch = new IdleWatch();
      watch.see(bytes.subarray(0, at));
      watch.see(bytes.subarray(at));
      assert.equal(watch.isIdle, want);
    }
  });
}

test("IdleWatch takes any bytes", () => {
  const property = (chunks: Uint8Array[]): void => {
    const watch = new IdleWatch();
    for (const chunk of chunks) watch.see(Buffer.from(chunk));
    assert.equal(typeof watch.isIdle, "boolean");
  };
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 600 }), { maxLength: 5 }), property));
});
