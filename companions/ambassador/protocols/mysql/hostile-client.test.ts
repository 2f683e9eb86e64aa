import assert from "node:assert/strict";
import { after, test } from "node:test";
import { eventually, Scope } from "@peapod/kit";
import type { MysqlListenerConfig } from "../../config/config.ts";
import type { Serving } from "../tls/serving.fixture.ts";
import { capability } from "./capabilities.ts";
import { parseError } from "./error-packet.ts";
import { encodeGreeting } from "./greeting.ts";
import { encodeHandshakeResponse, encodeSslRequest, type HandshakeResponse, parseHandshakeResponse } from "./handshake-response.ts";
import { mysqlListenerTo, serveMysql } from "./mysql.fixture.ts";
import { encodePacket } from "./packet-channel.ts";
import { dial, lastCode, ok, readAt, response, startServer } from "./scripted-peers.fixture.ts";
import { greeting8 } from "./sha2-server.fixture.ts";

const scope = new Scope();
after(() => scope[Symbol.asyncDispose]());

/** A server that lets everybody in, and echoes what comes then. */
async function startTrusting(seen: HandshakeResponse[] = []): Promise<number> {
  return await startServer(scope, async (packets, socket) => {
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

async function serveTrusting(given: Partial<MysqlListenerConfig> = {}, seen: HandshakeResponse[] = []): Promise<Serving> {
  return await serveMysql(scope, mysqlListenerTo(await startTrusting(seen), given));
}

test("mysqlProtocol() reads a client's response that comes byte by byte, and gives its choices on", async () => {
  const seen: HandshakeResponse[] = [];
  const { port } = await serveTrusting({}, seen);
  const packets = await dial(scope, port);
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
    const { wire } = await dial(scope, serving.port);
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
  (await dial(scope, gone.port)).wire.destroy();
  assert.equal(await lastCode(gone), "CLIENT_GONE");
  const silent = await serveTrusting({ handshakeMs: 50 });
  const { wire } = await dial(scope, silent.port);
  assert.equal(await lastCode(silent), "CLIENT_GONE");
  assert.equal((await wire.readSome(1)).length, 0);
  wire.destroy();
});

/** A server that lets everybody in, and keeps what they say then; each connection is a list of its own. */
async function startListening(): Promise<{ port: number; said: Buffer[][] }> {
  const said: Buffer[][] = [];
  const port = await startServer(scope, async (packets, socket) => {
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
  (await dial(scope, serving.port)).wire.destroy();
  assert.equal(await lastCode(serving), "CLIENT_GONE");
  assert.deepEqual(said, [[login, quit]]);
});

test("mysqlProtocol() lets the upstream go when a client takes its time, and logs in anew when it has answered", async () => {
  const { port, said } = await startListening();
  const listener = mysqlListenerTo(port);
  const serving = await serveMysql(scope, { ...listener, upstream: { ...listener.upstream, connectMs: 200 } });
  const packets = await dial(scope, serving.port);
  await eventually(() => assert.deepEqual(said, [[login, quit]]), { withinMs: 2000 });
  packets.write(encodeHandshakeResponse(response));
  assert.deepEqual(await packets.read(), ok);
  assert.deepEqual(said, [[login, quit], [login]]);
  packets.wire.destroy();
});

for (const plugin of ["mysql_native_password", "caching_sha2_password", "sha256_password", "client_ed25519", "mysql_clear_password"]) {
  test(`mysqlProtocol() lets a client in that begins with ${plugin}`, async () => {
    const serving = await serveTrusting();
    const packets = await dial(scope, serving.port);
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
