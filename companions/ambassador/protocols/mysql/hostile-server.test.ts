import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, test } from "node:test";
import { eventually, Scope } from "@peapod/kit";
import fc from "fast-check";
import { AmbassadorError } from "../../errors.ts";
import { Wire } from "../../flow/wire.ts";
import { listenerTo } from "../tls/serving.fixture.ts";
import { capability } from "./capabilities.ts";
import { encodeChangeUser } from "./change-user.ts";
import { encodeError, parseError } from "./error-packet.ts";
import { encodeGreeting } from "./greeting.ts";
import { encodeHandshakeResponse } from "./handshake-response.ts";
import { mysqlListenerTo, refusalAt, serveMysql } from "./mysql.fixture.ts";
import { encodePacket } from "./packet-channel.ts";
import { dial, lastCode, ok, readAt, response, type Script, startServer, welcome } from "./scripted-peers.fixture.ts";
import { greeting8 } from "./sha2-server.fixture.ts";

const scope = new Scope();
after(() => scope[Symbol.asyncDispose]());

const hostileServers: { does: string; script: Script; code: string; errno: number }[] = [
  { does: "ends at once", script: (_, socket) => void socket.end(), code: "UPSTREAM_PROTOCOL", errno: 1158 },
  { does: "says OK before anything", script: (packets) => packets.write(ok), code: "UPSTREAM_PROTOCOL", errno: 1158 },
  {
    does: "greets at another number",
    script: (_, socket) => void socket.write(encodePacket(1, encodeGreeting(greeting8))),
    code: "UPSTREAM_PROTOCOL",
    errno: 1158,
  },
  {
    does: "greets at a length without an end",
    script: (_, socket) => void socket.write(Buffer.alloc(100_000, 0xff)),
    code: "UPSTREAM_PROTOCOL",
    errno: 1158,
  },
  {
    does: "speaks HTTP",
    script: (_, socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"),
    code: "UPSTREAM_PROTOCOL",
    errno: 1158,
  },
  {
    does: "speaks on before it is answered",
    script: (packets) => {
      packets.write(encodeGreeting(greeting8));
      packets.write(ok);
    },
    code: "UPSTREAM_PROTOCOL",
    errno: 1158,
  },
  {
    does: "answers at another number",
    script: async (packets) => {
      await welcome(packets);
      packets.restart();
      packets.write(ok);
    },
    code: "UPSTREAM_PROTOCOL",
    errno: 1158,
  },
  {
    does: "asks for the password in clear",
    script: async (packets) => {
      await welcome(packets);
      packets.write(Buffer.from("\xfemysql_clear_password\0", "latin1"));
      await packets.read();
    },
    code: "LOGIN_REFUSED",
    errno: 1045,
  },
  {
    does: "has more data for ever",
    script: async (packets) => {
      await welcome(packets);
      for (;;) {
        packets.write(Buffer.of(1, 3));
        await new Promise((resolve) => setImmediate(resolve));
        if (packets.wire.isClosed) return;
      }
    },
    code: "UPSTREAM_PROTOCOL",
    errno: 1158,
  },
  {
    does: "switches for ever",
    script: async (packets) => {
      await welcome(packets);
      for (;;) {
        packets.write(Buffer.from(`\xfemysql_native_password\0${"s".repeat(20)}\0`, "latin1"));
        await packets.read();
      }
    },
    code: "UPSTREAM_PROTOCOL",
    errno: 1158,
  },
];
for (const { does, script, code, errno } of hostileServers) {
  test(`mysqlProtocol() survives a server that ${does}`, async () => {
    const serving = await serveMysql(scope, mysqlListenerTo(await startServer(scope, script)));
    assert.equal((await refusalAt(serving.port)).errno, errno);
    assert.equal(await lastCode(serving), code);
  });
}

for (const mode of ["verify-full", "verify-ca", "require"] as const) {
  test(`mysqlProtocol() tells nothing to a server without TLS in mode ${mode}`, async () => {
    let received = 0;
    const port = await startServer(scope, (packets, socket) => {
      packets.write(encodeGreeting(greeting8));
      socket.on("data", (bytes) => (received += bytes.length));
    });
    const serving = await serveMysql(scope, mysqlListenerTo(port, { upstream: listenerTo(port, { mode }).upstream }));
    assert.equal((await refusalAt(serving.port)).errno, 1043);
    assert.equal(await lastCode(serving), "UPSTREAM_UNTRUSTED");
    assert.equal(received, 0);
  });
}

test("mysqlProtocol() refuses plain text after its request for TLS, and has said no more than that by then", async () => {
  const received: Buffer[] = [];
  const port = await startServer(scope, async (packets) => {
    packets.write(
      encodeGreeting({ ...greeting8, capabilities: { base: (greeting8.capabilities.base | capability.SSL) >>> 0, mariadb: 0 } }),
    );
    received.push(await packets.read());
    packets.write(ok);
  });
  const serving = await serveMysql(scope, mysqlListenerTo(port, { upstream: listenerTo(port, {}).upstream }));
  assert.equal((await refusalAt(serving.port)).errno, 1043);
  assert.equal(await lastCode(serving), "UPSTREAM_UNTRUSTED");
  assert.equal(received[0]?.length, 32);
});

test("mysqlProtocol() passes an upstream's error on that comes in place of its greeting", async () => {
  const error = { errno: 1129, sqlState: "HY000", text: "Host '10.0.0.1' is blocked because of many connection errors" };
  const serving = await serveMysql(scope, mysqlListenerTo(await startServer(scope, (packets) => packets.write(encodeError(error, false)))));
  const refusal = await refusalAt(serving.port);
  assert.deepEqual([refusal.errno, refusal.message], [1129, error.text]);
  assert.equal(await lastCode(serving), "UPSTREAM_BUSY");
});

test("mysqlProtocol() tells a client that nobody listens upstream", async () => {
  const serving = await serveMysql(scope, mysqlListenerTo(1));
  assert.equal((await refusalAt(serving.port)).errno, 1158);
  assert.equal(await lastCode(serving), "UPSTREAM_UNREACHABLE");
});

const changeUser = encodeChangeUser(
  {
    user: Buffer.from("x"),
    auth: Buffer.alloc(0),
    database: Buffer.alloc(0),
    charset: 45,
    plugin: "mysql_native_password",
    attributes: Buffer.alloc(0),
  },
  response.capabilities,
);
const badChanges: { does: string; command: Buffer; answer: Buffer; errno: number; code: string }[] = [
  { does: "that the client garbles", command: Buffer.from("\x11never ends"), answer: ok, errno: 1043, code: "CLIENT_PROTOCOL" },
  {
    does: "that is too long",
    command: Buffer.concat([changeUser, Buffer.alloc(80_000)]),
    answer: ok,
    errno: 1043,
    code: "CLIENT_PROTOCOL",
  },
  {
    does: "that the server answers at another number",
    command: changeUser,
    answer: encodePacket(0, ok),
    errno: 1158,
    code: "UPSTREAM_PROTOCOL",
  },
  {
    does: "that the server answers with garbage",
    command: changeUser,
    answer: encodePacket(1, Buffer.of(0x42)),
    errno: 1158,
    code: "UPSTREAM_PROTOCOL",
  },
  {
    does: "that the server answers without an end",
    command: changeUser,
    answer: Buffer.from("ffffff01", "hex"),
    errno: 1158,
    code: "UPSTREAM_PROTOCOL",
  },
  {
    does: "that the server wants in clear",
    command: changeUser,
    answer: encodePacket(1, Buffer.from("\xfemysql_clear_password\0", "latin1")),
    errno: 1045,
    code: "LOGIN_REFUSED",
  },
];
for (const { does, command, answer, errno, code } of badChanges) {
  test(`mysqlProtocol() ends a connection with a change of user ${does}`, async () => {
    const port = await startServer(scope, async (packets) => {
      await welcome(packets);
      packets.write(ok);
      await packets.wire.read(1);
      packets.wire.write(answer);
    });
    const serving = await serveMysql(scope, mysqlListenerTo(port));
    const packets = await dial(scope, serving.port);
    packets.write(encodeHandshakeResponse(response));
    await packets.read();
    packets.wire.write(encodePacket(0, command));
    assert.equal(parseError(await readAt(packets, 1)).errno, errno);
    assert.equal((await packets.wire.readSome(1)).length, 0);
    packets.wire.end();
    assert.equal(await lastCode(serving), code);
  });
}

test("mysqlProtocol() survives any bytes for a greeting", async () => {
  let bytes: Buffer = Buffer.alloc(0);
  const port = await startServer(scope, (_, socket) => void socket.end(bytes));
  const serving = await serveMysql(scope, mysqlListenerTo(port));
  const edit = fc.tuple(fc.nat(60), fc.nat(255));
  const property = async (edits: [number, number][], length: number): Promise<void> => {
    const whole = encodePacket(0, encodeGreeting(greeting8));
    for (const [at, byte] of edits) whole[at] = byte;
    bytes = whole.subarray(0, length);
    const before = serving.outcomes.length;
    const wire = new Wire(connect({ port: serving.port, host: "127.0.0.1" }));
    wire.end();
    await eventually(() => serving.outcomes.length > before, { withinMs: 3000, everyMs: 2 });
    assert.ok(serving.outcomes.at(-1) instanceof AmbassadorError, String(serving.outcomes.at(-1)));
    wire.destroy();
  };
  await fc.assert(fc.asyncProperty(fc.array(edit, { maxLength: 5 }), fc.nat(100), property), { numRuns: 60 });
});
