import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, type Server } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Scope } from "@peapod/kit";
import { createServer } from "mysql2";
import mysql2 from "mysql2/promise";
import type { MysqlListenerConfig } from "../../config/config.ts";
import { type CertificateFiles, makeAuthority, type TestAuthority } from "../../../frame/credentials/certificates.fixture.ts";
import { listenerTo, listenOn } from "../tls/serving.fixture.ts";
import { Wire } from "../../flow/wire.ts";
import { capability } from "./capabilities.ts";
import { encodeChangeUser } from "./change-user.ts";
import { parseGreeting } from "./greeting.ts";
import { encodeHandshakeResponse } from "./handshake-response.ts";
import { encodePacket, PacketChannel } from "./packet-channel.ts";
import { mysqlListenerTo, refusalAt, serveMysql } from "./mysql.fixture.ts";
import { mysql2Part } from "./mysql2-part.fixture.ts";
import { cachingSha2Scramble } from "./scrambles.ts";
import { type Sha2Server, type Sha2ServerOptions, startSha2Server } from "./sha2-server.fixture.ts";

/*
 * No real server with caching_sha2_password is to be had here. Its part is taken by mysql2's server mode, and by a server that is scripted
 * after MySQL's documents; that mysql2's own client gets into that one, every way, is the first test.
 */

const scope = new Scope();
const key = generateKeyPairSync("rsa", { modulusLength: 2048 });
let authority: TestAuthority;
let tls: CertificateFiles;

before(async () => {
  authority = await makeAuthority(scope);
  tls = await authority.issue();
});
after(() => scope[Symbol.asyncDispose]());

async function scripted(given: Partial<Sha2ServerOptions>): Promise<Sha2Server> {
  return await startSha2Server(scope, { password: "the right one", ...given });
}

async function listenerOverTls({ port }: Sha2Server): Promise<MysqlListenerConfig> {
  return mysqlListenerTo(port, { upstream: listenerTo(port, { caFile: authority.caFile }).upstream });
}

/** Connects twice through the ambassador, changing the user the first time. */
async function visit(listener: MysqlListenerConfig): Promise<void> {
  const { port } = await serveMysql(scope, listener);
  for (const isFirst of [true, false]) {
    const connection = await mysql2.createConnection({ host: "127.0.0.1", port, user: "legacy", password: "long ago" });
    await connection.query("anything");
    if (isFirst) await connection.changeUser({ user: "somebody", password: "else" });
    await connection.query("anything");
    await connection.end();
  }
}

test("the scripted caching_sha2_password server lets mysql2's client in, over TLS and with its key", async () => {
  const ways: [Partial<Sha2ServerOptions>, mysql2.ConnectionOptions, string[]][] = [
    [{ tls }, { ssl: { ca: readFileSync(authority.caFile) } }, ["app full over TLS", "app fast"]],
    [{ key, hasOtherDefault: true }, {}, ["app full with a key asked for", "app fast"]],
  ];
  for (const [given, options, logins] of ways) {
    const server = await scripted(given);
    const target = { host: "localhost", port: server.port, user: "app" };
    for (let count = 0; count < 2; count++) {
      const connection = await mysql2.createConnection({ ...target, ...options, password: "the right one" });
      await connection.query("anything");
      await connection.end();
    }
    assert.deepEqual(server.logins, logins);
    assert.equal((await refusalAt(server.port, { ...target, ...options, password: "the wrong one" })).errno, 1045);
  }
});

for (const hasOtherDefault of [false, true]) {
  const after = hasOtherDefault ? ", after a switch" : "";

  test(`mysqlProtocol() logs in to the scripted caching_sha2_password server the full way over TLS, then the fast one${after}`, async () => {
    const server = await scripted({ tls, hasOtherDefault });
    await visit(await listenerOverTls(server));
    assert.deepEqual(server.logins, ["app full over TLS", "app fast", "app fast"]);
  });

  test(`mysqlProtocol() logs in to the scripted caching_sha2_password server with its key from a file${after}`, async () => {
    const server = await scripted({ key, hasOtherDefault });
    const serverPublicKeyFile = join(authority.folder, "public.pem");
    writeFileSync(serverPublicKeyFile, key.publicKey.export({ type: "spki", format: "pem" }));
    await visit(mysqlListenerTo(server.port, { serverPublicKeyFile }));
    assert.deepEqual(server.logins, ["app full with a known key", "app fast", "app fast"]);
  });

  test(`mysqlProtocol() asks the scripted caching_sha2_password server for its key where that is allowed${after}`, async () => {
    const server = await scripted({ key, hasOtherDefault });
    await visit(mysqlListenerTo(server.port, { allowPublicKeyRetrieval: true }));
    assert.deepEqual(server.logins, ["app full with a key asked for", "app fast", "app fast"]);
  });
}

test("mysqlProtocol() tells the client why it does not log in to the scripted caching_sha2_password server without TLS or a key", async () => {
  const server = await scripted({ key });
  const { port } = await serveMysql(scope, mysqlListenerTo(server.port));
  const refusal = await refusalAt(port, { password: "long ago" });
  assert.equal(refusal.errno, 1045);
  assert.match(refusal.message, /needs TLS in mode verify-full, serverPublicKeyFile or allowPublicKeyRetrieval/);
  assert.deepEqual(server.logins, []);
});

test("mysqlProtocol() tells the password to no scripted server that TLS does not verify, but where that is allowed", async () => {
  const server = await scripted({ tls });
  const { upstream } = listenerTo(server.port, { mode: "require" });
  const refusing = await serveMysql(scope, mysqlListenerTo(server.port, { upstream }));
  const refusal = await refusalAt(refusing.port, { password: "long ago" });
  assert.equal(refusal.errno, 1045);
  assert.match(refusal.message, /caching_sha2_password.*verify-full/);
  assert.deepEqual(server.logins, []);
  await visit(mysqlListenerTo(server.port, { upstream, allowPublicKeyRetrieval: true }));
  assert.deepEqual(server.logins, ["app full over TLS", "app fast", "app fast"]);
});

test("mysqlProtocol() keeps what a client sends behind its change of user until that is answered", async () => {
  const server = await scripted({ isCached: true });
  const serving = await serveMysql(scope, mysqlListenerTo(server.port));
  const socket = connect({ port: serving.port, host: "127.0.0.1" });
  const packets = new PacketChannel(new Wire(socket), "upstream");
  const { capabilities } = parseGreeting(await packets.read());
  const mine = {
    user: Buffer.from("legacy"),
    auth: Buffer.alloc(20, 1),
    database: undefined,
    plugin: "mysql_native_password",
    attributes: undefined,
  };
  const plain = { ...capabilities, base: capabilities.base & ~capability.CONNECT_ATTRS };
  packets.write(encodeHandshakeResponse({ ...mine, capabilities: plain, maxPacketBytes: 2 ** 24, charset: 45 }));
  assert.equal((await packets.read())[0], 0);
  const change = encodeChangeUser({ ...mine, database: Buffer.alloc(0), charset: 45, attributes: Buffer.alloc(0) }, plain);
  const ping = encodePacket(0, Buffer.of(0x0e));
  for (let count = 0; count < 2; count++) {
    packets.wire.write(Buffer.concat([encodePacket(0, change), ping, ping]));
    const answers = await packets.wire.read(3 * 11);
    assert.deepEqual(
      [0, 11, 22].map((at) => answers.toString("hex", at, at + 5)),
      Array(3).fill("0700000100"),
    );
  }
  assert.deepEqual(server.logins, ["app fast", "app fast", "app fast"]);
  socket.destroy();
});

test("mysqlProtocol() ends a connection whose change of user the scripted server refuses, and says so", async () => {
  const passwordFile = join(authority.folder, "password");
  writeFileSync(passwordFile, "the right one");
  const server = await scripted({ isCached: true });
  const listener = mysqlListenerTo(server.port);
  const { port } = await serveMysql(scope, { ...listener, login: { ...listener.login, password: { kind: "file", path: passwordFile } } });
  const connection = await mysql2.createConnection({ host: "127.0.0.1", port, user: "legacy" });
  writeFileSync(passwordFile, "another one");
  await assert.rejects(connection.changeUser({ user: "legacy" }), (error: { errno?: number; message: string }) => {
    assert.doesNotMatch(error.message, /'app'|another/);
    return error.errno === 1045;
  });
  await assert.rejects(connection.query("anything"));
  connection.destroy();
});

interface Mysql2Server {
  serverHandshake(options: object): void;
  writeOk(): void;
  writePacket(packet: object): void;
  once(event: "packet", listener: (packet: { buffer: Buffer; start: number; end: number }) => void): void;
  on(event: string, listener: (...words: string[]) => void): void;
}

type Verdict = (error: null, refusal?: { message: string; code: number }) => void;
type Login = { user: string; authToken: Buffer; authPluginData1: Buffer; authPluginData2: Buffer };

/** Starts mysql2's server mode, which greets with mysql_native_password and leaves the verdict to `judge`. */
async function startMysql2Server(judge: (server: Mysql2Server, login: Login, verdict: Verdict) => void): Promise<number> {
  const server = createServer((some) => {
    const connection = some as unknown as Mysql2Server; // mysql2's types leave its server mode out
    connection.on("error", () => {});
    const capabilityFlags = 0x0008f7df | capability.PLUGIN_AUTH;
    const greeting = { protocolVersion: 10, serverVersion: "8.4.0", connectionId: 5, statusFlags: 2, characterSet: 45, capabilityFlags };
    connection.serverHandshake({ ...greeting, authCallback: (login: Login, verdict: Verdict) => judge(connection, login, verdict) });
  }) as unknown as { readonly _server: Server };
  return await listenOn(server._server, scope);
}

test("mysqlProtocol() logs in to mysql2's server mode with mysql_native_password", async () => {
  const auth41 = mysql2Part("lib/auth_41.js") as { doubleSha1(text: string): Buffer; verifyToken(...parts: Buffer[]): boolean };
  const users: string[] = [];
  const port = await startMysql2Server((_, { user, authToken, authPluginData1, authPluginData2 }, verdict) => {
    users.push(user);
    const isRight = auth41.verifyToken(authPluginData1, authPluginData2, authToken, auth41.doubleSha1("the right one"));
    verdict(null, isRight ? undefined : { message: "no", code: 1045 });
  });
  const serving = await serveMysql(scope, mysqlListenerTo(port));
  const connection = await mysql2.createConnection({ host: "127.0.0.1", port: serving.port, user: "legacy", password: "long ago" });
  assert.equal(connection.threadId, 5);
  connection.destroy();
  assert.deepEqual(users, ["app"]);
});

test("mysqlProtocol() logs in to mysql2's server mode with caching_sha2_password, after a switch, the fast way", async () => {
  const AuthSwitchRequest = mysql2Part("lib/packets/auth_switch_request.js") as new (parts: object) => { toPacket(): object };
  const MoreData = mysql2Part("lib/packets/auth_switch_request_more_data.js") as new (data: Buffer) => { toPacket(): object };
  const salt = Buffer.from("abcdefghijklmnopqrst");
  const expected = cachingSha2Scramble(Buffer.from("the right one"), salt);
  assert.ok((expected[0] ?? 0) > 0x20, "or mysql2's server mode would take the scramble for a command");
  const answers: Buffer[] = [];
  const port = await startMysql2Server((server) => {
    server.writePacket(
      new AuthSwitchRequest({ pluginName: "caching_sha2_password", pluginData: Buffer.concat([salt, Buffer.alloc(1)]) }).toPacket(),
    );
    server.once("packet", ({ buffer, start, end }) => {
      answers.push(Buffer.from(buffer.subarray(start + 4, end)));
      server.writePacket(new MoreData(Buffer.of(3)).toPacket());
      server.writeOk();
    });
  });
  const serving = await serveMysql(scope, mysqlListenerTo(port));
  const connection = await mysql2.createConnection({ host: "127.0.0.1", port: serving.port, user: "legacy", password: "long ago" });
  connection.destroy();
  assert.deepEqual(answers, [expected]);
});
