import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { after, test } from "node:test";
import { eventually, Scope } from "@peapod/kit";
import fc from "fast-check";
import type { MysqlListenerConfig } from "../../config/config.ts";
import { AmbassadorError } from "../../errors.ts";
import { Wire, WireEnded } from "../../flow/wire.ts";
import { listenerTo, listenOn, type Serving } from "../tls/serving.fixture.ts";
import { capability } from "./capabilities.ts";
import { encodeChangeUser } from "./change-user.ts";
import { encodeError, parseError } from "./error-packet.ts";
import { encodeGreeting } from "./greeting.ts";
import { encodeHandshakeResponse, encodeSslRequest, type HandshakeResponse, parseHandshakeResponse } from "./handshake-response.ts";
import { mysqlListenerTo, refusalAt, serveMysql } from "./mysql.fixture.ts";
import { encodePacket, PacketChannel } from "./packet-channel.ts";
import { greeting8 } from "./sha2-server.fixture.ts";

const scope = new Scope();
after(() => scope[Symbol.asyncDispose]());

const ok = Buffer.from("00000002000000", "hex");
const response: HandshakeResponse = {
  capabilities: { base: 0x1ffa68f | capability.PLUGIN_AUTH, mariadb: 0 },
  maxPacketBytes: 2 ** 24,
  charset: 45,
  user: Buffer.from("legacy"),
  auth: Buffer.from("01234567890123456789"),
  database: undefined,
  plugin: "mysql_native_password",
  attributes: undefined,
};

/** A server that does what its script says with each connection. */
async function startServer(script: (packets: PacketChannel, socket: Socket) => Promise<void> | void): Promise<number> {
  const serve = async (socket: Socket): Promise<void> => {
    try {
      await script(new PacketChannel(new Wire(socket), "client"), socket);
    } catch (cause) {
      if (!(cause instanceof AmbassadorError || cause instanceof WireEnded)) throw cause;
      socket.destroy();
    }
  };
  return await listenOn(
    createServer({ allowHalfOpen: true, noDelay: true }, (socket) => void serve(socket.on("error", () => {}))),
    scope,
  );
}

/** Greets, and takes the response for what it is. */
async function welcome(packets: PacketChannel): Promise<void> {
  packets.write(encodeGreeting(greeting8));
  await packets.read();
}

async function lastCode({ outcomes }: Serving): Promise<unknown> {
  await eventually(() => outcomes.length > 0, { withinMs: 3000 });
  return (outcomes.at(-1) as { code?: unknown } | undefined)?.code; // errors with a code, in these tests
}

const hostileServers: { does: string; script: Parameters<typeof startServer>[0]; code: string; errno: number }[] = [
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
        if (packets.wire.socket.destroyed) return;
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
    const serving = await serveMysql(scope, mysqlListenerTo(await startServer(script)));
    assert.equal((await refusalAt(serving.port)).errno, errno);
    assert.equal(await lastCode(serving), code);
  });
}

for (const mode of ["verify-full", "verify-ca", "require"] as const) {
  test(`mysqlProtocol() tells nothing to a server without TLS in mode ${mode}`, async () => {
    let received = 0;
    const port = await startServer((packets, socket) => {
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
  const port = await startServer(async (packets) => {
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
  const serving = await serveMysql(scope, mysqlListenerTo(await startServer((packets) => packets.write(encodeError(error, false)))));
  const refusal = await refusalAt(serving.port);
  assert.deepEqual([refusal.errno, refusal.message], [1129, error.text]);
  assert.equal(await lastCode(serving), "UPSTREAM_BUSY");
});

test("mysqlProtocol() tells a client that nobody listens upstream", async () => {
  const serving = await serveMysql(scope, mysqlListenerTo(1));
  assert.equal((await refusalAt(serving.port)).errno, 1158);
  assert.equal(await lastCode(serving), "UPSTREAM_UNREACHABLE");
});

/** A server that lets everybody in, and echoes what comes then. */
async function startTrusting(seen: HandshakeResponse[] = []): Promise<number> {
  return await startServer(async (packets, socket) => {
    packets.write(encodeGreeting(greeting8));
    seen.push(parseHandshakeResponse(await packets.read()));
    packets.write(ok);
    for (;;) {
      const bytes = await packets.wire.readSome(65_536);
      if (bytes.length === 0) return void socket.end();
      socket.write(bytes);
    }
  });
}

/** Connects, and gives the packets from the greeting on. */
async function dial(port: number): Promise<PacketChannel> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  await once(socket, "connect");
  scope.defer(() => void socket.destroy());
  const packets = new PacketChannel(new Wire(socket), "upstream");
  await packets.read();
  return packets;
}

async function serveTrusting(given: Partial<MysqlListenerConfig> = {}, seen: HandshakeResponse[] = []): Promise<Serving> {
  return await serveMysql(scope, mysqlListenerTo(await startTrusting(seen), given));
}

test("mysqlProtocol() reads a client's response that comes byte by byte, and gives its choices on", async () => {
  const seen: HandshakeResponse[] = [];
  const { port } = await serveTrusting({}, seen);
  const packets = await dial(port);
  for (const byte of encodePacket(
    1,
    encodeHandshakeResponse({
      ...response,
      capabilities: { base: response.capabilities.base | 8, mariadb: 0 },
      database: Buffer.from("db"),
    }),
  )) {
    packets.wire.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  packets.restart();
  assert.deepEqual(await readAt(packets, 2), ok);
  const [login] = seen;
  assert.deepEqual([login?.user.toString(), login?.database?.toString(), login?.charset], ["app", "db", 45]);
  assert.equal((login?.capabilities.base ?? 0) & capability.DEPRECATE_EOF, response.capabilities.base & capability.DEPRECATE_EOF);
});

/** The next packet, which must have this number. */
async function readAt({ wire }: PacketChannel, sequence: number): Promise<Buffer> {
  const header = await wire.read(4);
  assert.equal(header[3], sequence);
  return await wire.read(header.readUIntLE(0, 3));
}

const hostileClients: { does: string; bytes: Buffer; errno: number }[] = [
  { does: "speaks HTTP", bytes: Buffer.from("GET / HTTP/1.1\r\n\r\n"), errno: 1043 },
  { does: "answers at another number", bytes: encodePacket(7, encodeHandshakeResponse(response)), errno: 1043 },
  { does: "answers at a length without an end", bytes: Buffer.alloc(10, 0xff), errno: 1043 },
  { does: "answers with nothing", bytes: encodePacket(1, Buffer.alloc(0)), errno: 1043 },
  { does: "speaks the protocol of before 4.1", bytes: encodePacket(1, Buffer.from("\x05\xa6\0\0\x01old\0", "latin1")), errno: 1043 },
  {
    does: "asks for TLS where there is none",
    bytes: encodePacket(
      1,
      encodeSslRequest({ ...response, capabilities: { base: response.capabilities.base | capability.SSL, mariadb: 0 } }),
    ),
    errno: 1043,
  },
];
for (const { does, bytes, errno } of hostileClients) {
  test(`mysqlProtocol() survives a client that ${does}`, async () => {
    const serving = await serveTrusting();
    const { wire } = await dial(serving.port);
    wire.write(bytes);
    const header = await wire.read(4);
    assert.equal(parseError(await wire.read(header.readUIntLE(0, 3))).errno, errno);
    assert.equal((await wire.readSome(1)).length, 0);
    wire.destroy();
    assert.equal(await lastCode(serving), "CLIENT_PROTOCOL");
  });
}

test("mysqlProtocol() lets a client go that goes itself, or does not answer in time", async () => {
  const gone = await serveTrusting();
  (await dial(gone.port)).wire.destroy();
  assert.equal(await lastCode(gone), "CLIENT_GONE");
  const silent = await serveTrusting({ handshakeMs: 50 });
  const { wire } = await dial(silent.port);
  assert.equal(await lastCode(silent), "CLIENT_GONE");
  assert.equal((await wire.readSome(1)).length, 0);
  wire.destroy();
});

/** A server that lets everybody in, and keeps what they say then; each connection is a list of its own. */
async function startListening(): Promise<{ port: number; said: Buffer[][] }> {
  const said: Buffer[][] = [];
  const port = await startServer(async (packets, socket) => {
    const own: Buffer[] = [];
    said.push(own);
    packets.write(encodeGreeting(greeting8));
    own.push(parseHandshakeResponse(await packets.read()).user);
    packets.write(ok);
    packets.restart();
    own.push(await packets.read());
    socket.end();
  });
  return { port, said };
}

const [login, quit] = [Buffer.from("app"), Buffer.of(1)];

test("mysqlProtocol() leaves a server in an orderly way when the client was only a probe, which it would count against us", async () => {
  const { port, said } = await startListening();
  const serving = await serveMysql(scope, mysqlListenerTo(port));
  (await dial(serving.port)).wire.destroy();
  assert.equal(await lastCode(serving), "CLIENT_GONE");
  assert.deepEqual(said, [[login, quit]]);
});

test("mysqlProtocol() lets the upstream go when a client takes its time, and logs in anew when it has answered", async () => {
  const { port, said } = await startListening();
  const listener = mysqlListenerTo(port);
  const serving = await serveMysql(scope, { ...listener, upstream: { ...listener.upstream, connectMs: 200 } });
  const packets = await dial(serving.port);
  await eventually(() => assert.deepEqual(said, [[login, quit]]), { withinMs: 2000 });
  packets.write(encodeHandshakeResponse(response));
  assert.deepEqual(await packets.read(), ok);
  assert.deepEqual(said, [[login, quit], [login]]);
  packets.wire.destroy();
});

for (const plugin of ["mysql_native_password", "caching_sha2_password", "sha256_password", "client_ed25519", "mysql_clear_password"]) {
  test(`mysqlProtocol() lets a client in that begins with ${plugin}`, async () => {
    const serving = await serveTrusting();
    const packets = await dial(serving.port);
    packets.write(encodeHandshakeResponse({ ...response, plugin }));
    let packet = await packets.read();
    if (packet[0] === 0xfe) {
      assert.match(packet.toString("latin1"), /^\xfemysql_native_password\0/);
      packets.write(Buffer.from("whatever"));
      packet = await packets.read();
    }
    if (plugin === "caching_sha2_password") {
      assert.deepEqual(packet, Buffer.of(1, 3));
      packet = await packets.read();
    }
    assert.deepEqual(packet, ok);
    packets.wire.write(encodePacket(0, Buffer.from("\x03echo")));
    assert.deepEqual(await readAt(packets, 0), Buffer.from("\x03echo"));
    packets.wire.destroy();
  });
}

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
    const port = await startServer(async (packets) => {
      await welcome(packets);
      packets.write(ok);
      await packets.wire.read(1);
      packets.wire.write(answer);
    });
    const serving = await serveMysql(scope, mysqlListenerTo(port));
    const packets = await dial(serving.port);
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
  const port = await startServer((_, socket) => void socket.end(bytes));
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
