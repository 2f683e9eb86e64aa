import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CommandFilter, type Filtered } from "./command-filter.ts";
import { encodePacket } from "./packet-channel.ts";

const changeUser = Buffer.from("\x11me\0\0shop\0");
const query = Buffer.from("\x03SELECT 1");

/** Sends pieces through a filter as a connection would, answering each change of user at once. */
function filterAll(pieces: readonly Buffer[]): { passed: Buffer; changes: Buffer[] } {
  const filter = new CommandFilter();
  const passed: Buffer[] = [];
  const changes: Buffer[] = [];
  const take = (chunk: Buffer): void => {
    const found: Filtered = filter.filter(chunk);
    passed.push(Buffer.from(found.pass));
    if (found.changeUser === undefined) return;
    changes.push(found.changeUser);
    if (found.rest !== undefined && found.rest.length > 0) take(found.rest);
  };
  for (const piece of pieces) take(piece);
  return { passed: Buffer.concat(passed), changes };
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...new Set([...cuts, bytes.length])].filter((at) => at <= bytes.length).toSorted((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end)).filter((piece) => piece.length > 0);
}

test("CommandFilter gives the very chunk back where nothing changes", () => {
  const filter = new CommandFilter();
  const chunk = Buffer.concat([encodePacket(0, query), encodePacket(0, query)]);
  assert.equal(filter.filter(chunk).pass, chunk);
  const long = encodePacket(0, Buffer.alloc(1000, 3));
  assert.equal(filter.filter(long.subarray(0, 500)).pass.length, 500);
  const rest = long.subarray(500);
  assert.equal(filter.filter(rest).pass, rest);
});

test("CommandFilter finds a change of user between other commands, cut at every byte", () => {
  const other = Buffer.concat([encodePacket(0, query), encodePacket(0, changeUser), encodePacket(0, Buffer.of(0x0e))]);
  const expected = Buffer.concat([encodePacket(0, query), encodePacket(0, Buffer.of(0x0e))]);
  for (let at = 1; at < other.length; at++) {
    const { passed, changes } = filterAll(cutAt(other, [at]));
    assert.deepEqual([passed, changes], [expected, [changeUser]]);
  }
});

test("CommandFilter takes neither a file's bytes nor a long packet's for a command", () => {
  const file = Array.from({ length: 300 }, (_, index) => encodePacket(2 + index, changeUser)); // the numbers come by 0 again
  const full = Buffer.alloc(0xffffff, 0x11);
  const long = [encodePacket(0, full.fill(3, 0, 1)), encodePacket(1, changeUser), encodePacket(0, query)];
  const bytes = Buffer.concat([encodePacket(0, query), ...file, encodePacket(302, Buffer.alloc(0)), ...long, encodePacket(0, changeUser)]);
  const { passed, changes } = filterAll(cutAt(bytes, [3, 5000, 17_000_000]));
  assert.deepEqual(changes, [changeUser]);
  assert.equal(passed.equals(bytes.subarray(0, bytes.length - changeUser.length - 4)), true);
});

test("CommandFilter finds commands again after a file that ends at once, and after one whose last packet is full", () => {
  const full = Buffer.alloc(0xffffff);
  const none = Buffer.alloc(0);
  const bytes = Buffer.concat([
    encodePacket(0, query),
    encodePacket(2, none),
    encodePacket(0, changeUser),
    encodePacket(0, query),
    encodePacket(2, full),
    encodePacket(3, none),
    encodePacket(4, none),
    encodePacket(0, changeUser),
  ]);
  assert.equal(filterAll(cutAt(bytes, [100])).changes.length, 2);
});

test("CommandFilter refuses a change of user that is longer than a handshake", () => {
  const header = encodePacket(0, Buffer.alloc(0));
  header.writeUIntLE(1_000_000, 0, 3);
  assert.throws(() => new CommandFilter().filter(Buffer.concat([header, Buffer.of(0x11)])), { code: "CLIENT_PROTOCOL" });
});

test("CommandFilter passes all but changes of user, whatever commands come and wherever they are cut", () => {
  const payloads = fc.array(
    fc.oneof(
      fc.constant(changeUser),
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    ),
    { maxLength: 12 },
  );
  const cuts = fc.array(fc.nat(500), { maxLength: 20 });
  const property = (commands: Buffer[], at: number[]): void => {
    const { passed, changes } = filterAll(cutAt(Buffer.concat(commands.map((payload) => encodePacket(0, payload))), at));
    assert.deepEqual(
      changes,
      commands.filter((payload) => payload[0] === 0x11),
    );
    assert.deepEqual(passed, Buffer.concat(commands.filter((payload) => payload[0] !== 0x11).map((payload) => encodePacket(0, payload))));
  };
  fc.assert(fc.property(payloads, cuts, property));
});
