import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import type { Socket } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { AmbassadorError } from "../../errors.ts";
import { Wire } from "../../flow/wire.ts";
import { cString, formatMessage, MessageReader, parseMessage, parseParameterStatus, splitStrings } from "./messages.ts";

const greeting = Buffer.concat([
  formatMessage("R", Buffer.alloc(4)),
  formatMessage("S", cString("server_version"), cString("18.4")),
  formatMessage("K", Buffer.alloc(36, 7)),
  formatMessage("Z", Buffer.from("I")),
]);

/** A wire that gives these pieces, then ends. */
function wireOf(...pieces: Uint8Array[]): Wire {
  const stream = new PassThrough();
  const wire = new Wire(stream as unknown as Socket); // a wire reads a socket as it does any stream
  for (const piece of pieces) if (piece.length > 0) stream.write(piece);
  stream.end();
  return wire;
}

async function typesOf(wire: Wire, count: number): Promise<string> {
  const reader = new MessageReader(wire);
  let types = "";
  for (let index = 0; index < count; index += 1) types += String.fromCharCode((await reader.next()).type);
  return types;
}

test("MessageReader gives the same messages wherever their bytes are cut", async () => {
  for (let cut = 0; cut <= greeting.length; cut += 1)
    assert.equal(await typesOf(wireOf(greeting.subarray(0, cut), greeting.subarray(cut)), 4), "RSKZ", `cut at ${cut}`);
  assert.equal(await typesOf(wireOf(...Array.from(greeting, (byte) => Uint8Array.of(byte))), 4), "RSKZ", "one by one");
});

test("MessageReader rejects where the wire ends within a message", async () => {
  for (let length = 0; length < greeting.length; length += 1)
    await assert.rejects(typesOf(wireOf(greeting.subarray(0, length)), 4), { name: "WireEnded" });
});

test("MessageReader gives back what it did not take", async () => {
  const wire = wireOf(greeting, Buffer.from("rest"));
  const reader = new MessageReader(wire);
  for (let index = 0; index < 4; index += 1) await reader.next();
  reader.release();
  assert.equal((await wire.read(4)).toString(), "rest");
});

test("MessageReader ends a flood of notices", async () => {
  const notice = formatMessage("N", Buffer.alloc(20_000));
  await assert.rejects(typesOf(wireOf(...Array.from({ length: 20 }, () => notice)), 20), { code: "UPSTREAM_PROTOCOL" });
});

const lengths: [does: string, header: string][] = [
  ["a length below its own four bytes", "5300000003"],
  ["a length of nothing", "4e00000000"],
  ["a negative length", "4effffffff"],
  ["two gigabytes", "457fffffff"],
  ["more than a message may have", "4500007531"],
  ["an authentication request of 3,000 bytes", "5200000bb8"],
];
for (const [does, header] of lengths)
  test(`parseMessage() refuses ${does}`, () => {
    assert.throws(() => parseMessage(Buffer.from(header, "hex")), { code: "UPSTREAM_PROTOCOL" });
  });

test("parseMessage() gives a message, nothing, or a refusal, for any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        const message = parseMessage(Buffer.from(bytes));
        if (message !== undefined) assert.equal(message.raw.length, message.body.length + 5);
      } catch (error) {
        assert.ok(error instanceof AmbassadorError);
      }
    }),
  );
});

test("parseParameterStatus() gives a name and a value, or refuses", () => {
  assert.deepEqual(parseParameterStatus(Buffer.from("TimeZone\0Europe/Zürich\0")), ["TimeZone", "Europe/Zürich"]);
  for (const text of ["", "name", "name\0value", "name\0", "name\0value\0more\0"])
    assert.throws(() => parseParameterStatus(Buffer.from(text)), { code: "UPSTREAM_PROTOCOL" }, text);
});

test("splitStrings() puts together again what was split", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ min: 1, maxLength: 5 })), (strings) => {
      const bytes = Buffer.concat(strings.flatMap((string) => [string, Uint8Array.of(0)]));
      assert.deepEqual(
        splitStrings(bytes)?.map((string) => Uint8Array.from(string)),
        strings,
      );
    }),
  );
});
