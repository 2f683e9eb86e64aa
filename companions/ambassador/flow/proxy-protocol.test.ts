import assert from "node:assert/strict";
import { isIP } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { type Ends, makeProxyHeader, parseProxyHeader } from "./proxy-protocol.ts";

const signature = "0d0a0d0a000d0a515549540a";
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const v4: Ends = { client: { address: "192.0.2.1", port: 1234 }, local: { address: "198.51.100.7", port: 5432 } };
const v6: Ends = { client: { address: "2001:db8::1", port: 65_535 }, local: { address: "::1", port: 1 } };

const headers: { does: string; bytes: Buffer; ends: Ends | undefined }[] = [
  { does: "v1 TCP4", bytes: Buffer.from("PROXY TCP4 192.0.2.1 198.51.100.7 1234 5432\r\n"), ends: v4 },
  { does: "v1 TCP6", bytes: Buffer.from("PROXY TCP6 2001:db8::1 ::1 65535 1\r\n"), ends: v6 },
  { does: "v1 UNKNOWN", bytes: Buffer.from("PROXY UNKNOWN\r\n"), ends: undefined },
  { does: "v1 UNKNOWN with more", bytes: Buffer.from("PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n"), ends: undefined },
  { does: "v2 TCP4", bytes: hex(`${signature} 21 11 000c c0000201 c6336407 04d2 1538`), ends: v4 },
  { does: "v2 TCP4 with extensions", bytes: hex(`${signature} 21 11 0012 c0000201 c6336407 04d2 1538 03 0003 aabbcc`), ends: v4 },
  {
    does: "v2 TCP6",
    bytes: hex(`${signature} 21 21 0024 20010db8000000000000000000000001 00000000000000000000000000000001 ffff 0001`),
    ends: v6,
  },
  { does: "v2 LOCAL", bytes: hex(`${signature} 20 00 0000`), ends: undefined },
  {
    does: "v2 LOCAL with addresses, which do not count",
    bytes: hex(`${signature} 20 11 000c c0000201 c6336407 04d2 1538`),
    ends: undefined,
  },
  { does: "v2 of a UNIX socket", bytes: hex(`${signature} 21 31 00d8 ${"00".repeat(216)}`), ends: undefined },
  { does: "v2 of an unknown family", bytes: hex(`${signature} 21 00 0003 010203`), ends: undefined },
];

for (const { does, bytes, ends } of headers)
  test(`parseProxyHeader() reads ${does}, cut at every byte, and leaves what follows`, () => {
    for (let cut = 0; cut < bytes.length; cut += 1) assert.deepEqual(parseProxyHeader(bytes.subarray(0, cut)), { kind: "incomplete" });
    const followed = Buffer.concat([bytes, Buffer.from("PROXY \r\n")]);
    assert.deepEqual(parseProxyHeader(followed), { kind: "header", length: bytes.length, ends });
  });

const malformed: { does: string; bytes: Buffer; says: RegExp }[] = [
  { does: "anything else", bytes: Buffer.from("G"), says: /something else/ },
  { does: "a line without an end", bytes: Buffer.from(`PROXY TCP4 ${"1".repeat(200)}`), says: /no end/ },
  { does: "another family", bytes: Buffer.from("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n"), says: /neither/ },
  { does: "an address of the other family", bytes: Buffer.from("PROXY TCP4 ::1 192.0.2.2 1 2\r\n"), says: /TCP4/ },
  { does: "two spaces", bytes: Buffer.from("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n"), says: /TCP4/ },
  { does: "a port too many", bytes: Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"), says: /TCP4/ },
  { does: "a port too high", bytes: Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n"), says: /TCP4/ },
  { does: "a port that is none", bytes: Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n"), says: /TCP4/ },
  { does: "version 3", bytes: hex(`${signature} 31`), says: /version is 3/ },
  { does: "a command that is not known", bytes: hex(`${signature} 22`), says: /command is 2/ },
  { does: "a length beyond all need", bytes: hex(`${signature} 21 11 ffff`), says: /more than/ },
  { does: "a length below its addresses", bytes: hex(`${signature} 21 11 000b`), says: /shorter/ },
];

for (const { does, bytes, says } of malformed)
  test(`parseProxyHeader() refuses ${does}`, () => {
    const header = parseProxyHeader(bytes);
    assert.ok(header.kind === "malformed", header.kind);
    assert.match(header.reason, says);
  });

test("parseProxyHeader() takes no bytes that it was not given, whatever they are, and asks for at most 16 KiB", () => {
  const start = fc.constantFrom(
    Buffer.from("PROXY "),
    Buffer.from("PROXY TCP6 "),
    hex(`${signature} 21 21`),
    hex(signature),
    Buffer.alloc(0),
  );
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 300 }), (head, tail) => {
      const bytes = Buffer.concat([head, tail]);
      const header = parseProxyHeader(bytes);
      if (header.kind === "header") assert.ok(header.length <= bytes.length);
      assert.notEqual(parseProxyHeader(Buffer.concat([bytes, Buffer.alloc(16 * 1024)])).kind, "incomplete");
    }),
  );
});

test("makeProxyHeader() writes what parseProxyHeader() reads, of either version and of mixed families", () => {
  const peer = fc.record({ address: fc.oneof(fc.ipV4(), fc.ipV6()), port: fc.nat(65_535) });
  fc.assert(
    fc.property(fc.constantFrom("v1" as const, "v2" as const), peer, peer, (version, client, local) => {
      const bytes = makeProxyHeader(version, { client, local });
      const header = parseProxyHeader(bytes);
      assert.ok(header.kind === "header" && header.ends !== undefined);
      assert.equal(header.length, bytes.length);
      assert.equal(header.ends.client.port, client.port);
      assert.equal(isIP(header.ends.client.address), isIP(header.ends.local.address));
      assert.deepEqual(makeProxyHeader(version, header.ends), version === "v2" ? bytes : Buffer.from(bytes.toString()));
    }),
  );
});

for (const [version, ends, want] of [
  ["v1", v4, Buffer.from("PROXY TCP4 192.0.2.1 198.51.100.7 1234 5432\r\n")],
  ["v2", v4, headers[4]?.bytes],
  ["v2", v6, headers[6]?.bytes],
  ["v1", undefined, Buffer.from("PROXY UNKNOWN\r\n")],
  ["v2", undefined, hex(`${signature} 20 00 0000`)],
  ["v2", { client: { address: "", port: 0 }, local: { address: "", port: 0 } }, hex(`${signature} 21 00 0000`)],
] as const)
  test(`makeProxyHeader() writes ${version} for ${ends?.client.address ?? "nobody"}`, () => {
    assert.deepEqual(makeProxyHeader(version, ends), want);
  });
