import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Capabilities, capability, coversChoice, shared } from "./capabilities.ts";
import { encodeChangeUser, parseChangeUser } from "./change-user.ts";
import { encodeError, parseError } from "./error-packet.ts";
import { encodeGreeting, type Greeting, parseGreeting } from "./greeting.ts";
import {
  encodeHandshakeResponse,
  encodeSslRequest,
  type HandshakeResponse,
  isSslRequest,
  parseHandshakeResponse,
} from "./handshake-response.ts";
import { mysql2Part } from "./mysql2-part.fixture.ts";
import { MalformedPacket } from "./payload.ts";

const Packet = mysql2Part("lib/packets/packet.js") as new (id: number, buffer: Buffer, start: number, end: number) => object;
const Handshake = mysql2Part("lib/packets/handshake.js") as { fromPacket(packet: object): Record<string, unknown> };

/** The greeting of MySQL 5.5.2-m2 in its documents. */
const documented = "0a352e352e322d6d32000b00000064764840492d434a00fff7080200000000000000000000000000002a34647c635a776b345e5d3a00";

const server: Greeting = {
  version: Buffer.from("8.0.36"),
  connectionId: 4242,
  salt: Buffer.from("abcdefghijklmnopqrst"),
  capabilities: { base: 0xdfffffff, mariadb: 0 },
  charset: 255,
  status: 2,
  plugin: "caching_sha2_password",
};

const client: HandshakeResponse = {
  capabilities: { base: 0x1ffa68f | capability.CONNECT_WITH_DB | capability.PLUGIN_AUTH | capability.CONNECT_ATTRS, mariadb: 0 },
  maxPacketBytes: 2 ** 24,
  charset: 45,
  user: Buffer.from("legacy"),
  auth: Buffer.from("01234567890123456789"),
  database: Buffer.from("shop"),
  plugin: "mysql_native_password",
  attributes: Buffer.from("\x03_os\x05Linux"),
};

const parsers = {
  parseGreeting,
  parseHandshakeResponse,
  parseError,
  parseChangeUser: (payload: Buffer) => parseChangeUser(payload, client.capabilities),
};

test("parseGreeting() reads the example of MySQL's documents", () => {
  const greeting = parseGreeting(Buffer.from(documented, "hex"));
  assert.equal(greeting.version.toString(), "5.5.2-m2");
  assert.deepEqual([greeting.connectionId, greeting.plugin, greeting.charset, greeting.status], [11, "mysql_native_password", 8, 2]);
  assert.equal(greeting.salt.toString("latin1"), "dvH@I-CJ*4d|cZwk4^]:");
});

test("encodeGreeting() is read by mysql2 and by parseGreeting() as it was meant, MariaDB's extension too", () => {
  const payload = encodeGreeting(server);
  assert.deepEqual(parseGreeting(payload), server);
  const read = Handshake.fromPacket(new Packet(0, Buffer.concat([Buffer.alloc(4), payload]), 0, 4 + payload.length));
  assert.deepEqual([read["serverVersion"], read["connectionId"], read["authPluginName"]], ["8.0.36", 4242, "caching_sha2_password"]);
  assert.equal((read["capabilityFlags"] as number) >>> 0, server.capabilities.base);
  const mariadb = { ...server, capabilities: { base: 0x81fff7fe, mariadb: 0x1d } };
  assert.deepEqual(parseGreeting(encodeGreeting(mariadb)), mariadb);
});

test("parseGreeting() refuses servers before MySQL 4.1, and other protocols", () => {
  assert.throws(() => parseGreeting(encodeGreeting({ ...server, capabilities: { base: 1, mariadb: 0 } })), MalformedPacket);
  assert.throws(() => parseGreeting(Buffer.from([9, ...encodeGreeting(server).subarray(1)])), MalformedPacket);
});

test("parseHandshakeResponse() reads what encodeHandshakeResponse() wrote, whatever parts there are", () => {
  const property = (user: string, database: string, bits: number, attributes: Uint8Array): void => {
    const base = ((bits & ~(capability.PLUGIN_AUTH_LENENC | capability.SSL)) | capability.PROTOCOL_41 | capability.SECURE_CONNECTION) >>> 0;
    const has = (bit: number): boolean => (base & bit) !== 0;
    const response: HandshakeResponse = {
      ...client,
      capabilities: { base, mariadb: has(capability.MYSQL) ? 0 : 5 },
      user: Buffer.from(user),
      database: has(capability.CONNECT_WITH_DB) && database !== "" ? Buffer.from(database) : undefined,
      attributes: has(capability.CONNECT_ATTRS) ? Buffer.from(attributes) : undefined,
    };
    assert.deepEqual(parseHandshakeResponse(encodeHandshakeResponse(response)), response);
  };
  const text = fc.string().map((some) => some.replaceAll("\0", ""));
  fc.assert(fc.property(text, text, fc.nat(0x7fffffff), fc.uint8Array({ maxLength: 70_000 }), property));
});

test("isSslRequest() knows the request from a response", () => {
  const ssl: Capabilities = { base: client.capabilities.base | capability.SSL, mariadb: 0 };
  assert.equal(isSslRequest(encodeSslRequest({ ...client, capabilities: ssl })), true);
  assert.equal(isSslRequest(encodeSslRequest(client)), false);
  assert.equal(isSslRequest(encodeHandshakeResponse({ ...client, capabilities: ssl })), false);
});

test("parseChangeUser() reads what encodeChangeUser() wrote, and the short form of old clients", () => {
  const command = { user: client.user, auth: client.auth, database: Buffer.from("x"), charset: 45, plugin: "p", attributes: Buffer.of(0) };
  assert.deepEqual(parseChangeUser(encodeChangeUser(command, client.capabilities), client.capabilities), command);
  const short = parseChangeUser(Buffer.from("\x11me\0\0db\0"), client.capabilities);
  assert.deepEqual([short.user.toString(), short.database.toString(), short.charset], ["me", "db", undefined]);
});

test("parseError() reads ERR with and without an SQLSTATE, and makes its text fit for a log", () => {
  const error = { errno: 1045, sqlState: "28000", text: "no" };
  assert.deepEqual(parseError(encodeError(error, true)), error);
  assert.deepEqual(parseError(encodeError(error, false)), { ...error, sqlState: "HY000" });
  assert.equal(parseError(encodeError({ ...error, text: "a\n\u001b[31m" }, true)).text, "a??[31m");
  assert.ok(encodeError({ ...error, text: "x".repeat(100_000) }, true).length < 600);
});

for (const [name, valid] of Object.entries({
  parseGreeting: encodeGreeting(server),
  parseHandshakeResponse: encodeHandshakeResponse(client),
  parseChangeUser: encodeChangeUser({ ...client, database: Buffer.from("shop"), attributes: Buffer.of(0) }, client.capabilities),
  parseError: encodeError({ errno: 1040, sqlState: "08004", text: "Too many connections" }, true),
})) {
  const parse = parsers[name as keyof typeof parsers]; // a key of the table above

  test(`${name}() finds a packet that is cut anywhere either malformed or whole`, () => {
    for (let length = 0; length < valid.length; length++) mayBeMalformed(() => parse(valid.subarray(0, length)));
  });

  test(`${name}() throws nothing but MalformedPacket, for any bytes`, () => {
    const edits = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 8 });
    const edited = edits.map((list) => list.reduce((bytes, [at, byte]) => bytes.fill(byte, at, at + 1), Buffer.from(valid)));
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
      edited,
    );
    fc.assert(
      fc.property(any, (payload) => mayBeMalformed(() => parse(payload))),
      { numRuns: 500 },
    );
  });
}

function mayBeMalformed(parse: () => unknown): void {
  try {
    parse();
  } catch (cause) {
    assert.ok(cause instanceof MalformedPacket, String(cause));
  }
}

test("shared() leaves TLS, compression, more factors and COM_MULTI to each side alone", () => {
  const { base, mariadb } = shared({ base: 0xffffffff, mariadb: 0xff });
  assert.equal(base & (capability.SSL | capability.COMPRESS | capability.ZSTD | capability.MULTI_FACTOR), 0);
  assert.equal(base & capability.DEPRECATE_EOF, capability.DEPRECATE_EOF);
  assert.equal(mariadb, 0xfd);
});

test("coversChoice() misses only what was offered before and chosen", () => {
  const offer = (base: number, mariadb = 0): Capabilities => ({ base, mariadb });
  const { DEPRECATE_EOF, CONNECT_ATTRS } = capability;
  assert.equal(coversChoice(offer(0), offer(DEPRECATE_EOF), offer(DEPRECATE_EOF)), false);
  assert.equal(coversChoice(offer(0), offer(0), offer(CONNECT_ATTRS)), true);
  assert.equal(coversChoice(offer(0), offer(DEPRECATE_EOF), offer(0)), true);
  assert.equal(coversChoice(offer(0), offer(0, 4), offer(0, 4)), false);
});
