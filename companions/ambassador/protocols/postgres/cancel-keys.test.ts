import assert from "node:assert/strict";
import { test } from "node:test";
import { CancelKeys } from "./cancel-keys.ts";

const sender = () => async (): Promise<void> => {};

test("CancelKeys finds the very server that issued a key, until its session ends", () => {
  const keys = new CancelKeys();
  const short = Buffer.from("0000002a01020304", "hex");
  const long = Buffer.concat([short, Buffer.alloc(252, 0xfe)]);
  const [one, two] = [sender(), sender()];
  const first = keys.add(short, one);
  const second = keys.add(long, two);
  assert.equal(keys.find(Buffer.from(short)), one);
  assert.equal(keys.find(long), two);
  assert.equal(keys.find(long.subarray(0, 12)), undefined);
  first[Symbol.dispose]();
  assert.equal(keys.find(short), undefined);
  second[Symbol.dispose]();
  assert.equal(keys.size, 0);
});

test("CancelKeys keeps the later of two servers' same keys when the earlier session ends", () => {
  const keys = new CancelKeys();
  const key = Buffer.alloc(8);
  const earlier = keys.add(key, sender());
  const later = sender();
  keys.add(key, later);
  earlier[Symbol.dispose]();
  assert.equal(keys.find(key), later);
});
