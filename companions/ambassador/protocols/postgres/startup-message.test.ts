import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AmbassadorError } from "../../errors.ts";
import { formatStartup, parameterOf, parseStartup, withParameters } from "./startup-message.ts";

const V30 = 196608;
const text = (...strings: string[]): Buffer => Buffer.from(strings.map((string) => `${string}\0`).join(""), "latin1");

test("parseStartup() keeps parameters, doubles and order, and takes the last of a name", () => {
  const startup = parseStartup(V30 + 2, text("user", "a", "options", "-c x=y", "user", "b", "_pq_.some", "1", ""));
  assert.equal(startup.minor, 2);
  assert.deepEqual(
    startup.parameters.map(([name, value]) => `${name}=${value.toString()}`),
    ["user=a", "options=-c x=y", "user=b", "_pq_.some=1"],
  );
  assert.equal(parameterOf(startup, "user")?.toString(), "b");
  assert.equal(parameterOf(startup, "database"), undefined);
});

const refused: { does: string; version?: number; parameters: Buffer }[] = [
  { does: "no terminator", parameters: text("user", "a").subarray(0, -1) },
  { does: "a name without a value", parameters: text("user", "a", "options", "").subarray(0, -1) },
  { does: "an empty name in the middle", parameters: text("", "a", "user", "a", "") },
  { does: "a last text without an end", parameters: Buffer.concat([text("user", "a"), Buffer.from("b")]) },
  { does: "nothing", parameters: Buffer.alloc(0) },
  { does: "protocol 2", version: 131072, parameters: text("") },
  { does: "protocol 4", version: 262144, parameters: text("") },
  { does: "HTTP", version: 0x47455420, parameters: text("/") },
];
for (const { does, version = V30, parameters } of refused)
  test(`parseStartup() refuses ${does}`, () => {
    assert.throws(() => parseStartup(version, parameters), { code: "CLIENT_PROTOCOL" });
  });

test("parseStartup() reads what formatStartup() wrote, whatever the bytes", () => {
  const value = fc.uint8Array({ min: 1, maxLength: 20 }).map((bytes) => Buffer.from(bytes));
  const name = fc.uint8Array({ min: 1, minLength: 1, maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), fc.integer({ min: 0, max: 2 }), (parameters, minor) => {
      const packet = formatStartup({ minor, parameters });
      assert.equal(packet.readUInt32BE(0), packet.length);
      assert.deepEqual(parseStartup(packet.readUInt32BE(4), packet.subarray(8)), { minor, parameters });
    }),
  );
});

test("parseStartup() gives a message or a refusal for any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        parseStartup(V30, Buffer.from(bytes));
      } catch (error) {
        assert.ok(error instanceof AmbassadorError && error.code === "CLIENT_PROTOCOL");
      }
    }),
  );
});

test("withParameters() puts values in the place of every double, and adds what is missing", () => {
  const startup = parseStartup(V30, text("user", "a", "constructor", "x", "user", "b", ""));
  const { parameters } = withParameters(startup, { user: Buffer.from("app"), database: Buffer.from("orders") });
  assert.deepEqual(
    parameters.map(([name, value]) => `${name}=${value.toString()}`),
    ["user=app", "constructor=x", "user=app", "database=orders"],
  );
});

test("formatStartup() refuses what a server would", () => {
  const longest = 10_000 - 4 - "user\0".length - 1 - 1;
  const packet = (length: number): Buffer => formatStartup({ minor: 0, parameters: [["user", Buffer.alloc(length, "a")]] });
  assert.equal(packet(longest).length, 10_004);
  assert.throws(() => packet(longest + 1), { code: "CLIENT_PROTOCOL" });
});
