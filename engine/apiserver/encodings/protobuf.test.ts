import assert from "node:assert/strict";
import { test } from "node:test";
import { readProtobuf } from "./protobuf.ts";

/** A varint of 64 bits. */
function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  for (let rest = BigInt.asUintN(64, value); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}

function field(number: number, content: Buffer | string): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([varint(BigInt(number * 8 + 2)), varint(BigInt(bytes.length)), bytes]);
}

function message(kind: string, raw: Buffer): Buffer {
  return Buffer.concat([Buffer.from("k8s\0"), field(1, Buffer.concat([field(1, "v1"), field(2, kind)])), field(2, raw)]);
}

test("readProtobuf() reads whole numbers of 64 bits as they are", () => {
  for (const seconds of [0n, 30n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
    const raw = Buffer.concat([Buffer.from([8]), varint(seconds)]);
    const text = JSON.stringify(readProtobuf(message("DeleteOptions", raw)));
    assert.equal(text, `{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":${seconds}}`);
  }
});

test("readProtobuf() takes any key of a map as data, the last value of each", () => {
  const entry = (key: string, value: string): Buffer => field(2, Buffer.concat([field(1, key), field(2, value)]));
  const raw = Buffer.concat([entry("a", "1"), entry("__proto__", "2"), entry("a", "3"), field(2, "")]);
  assert.equal(JSON.stringify(readProtobuf(message("ConfigMap", raw))["data"]), '{"a":"3","__proto__":"2","":""}');
});

test("readProtobuf() takes time in proportion to its input", () => {
  const entries = Array.from({ length: 20_000 }, (_, index) => field(2, field(1, `k${index}`)));
  const finalizers = Array.from({ length: 20_000 }, () => field(14, ""));
  const raw = Buffer.concat([field(1, Buffer.concat(finalizers)), ...entries]);
  const before = process.cpuUsage();
  const object = readProtobuf(message("ConfigMap", raw)) as { data: object; metadata: { finalizers: string[] } };
  const { user } = process.cpuUsage(before); // what this process worked: other load of the machine does not count
  assert.deepEqual([Object.keys(object.data).length, object.metadata.finalizers.length], [20_000, 20_000]);
  assert.ok(user < 5_000_000, `It took ${user / 1e6} s of the CPU`);
});
