import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Scope, silentLogger, systemClock } from "@peapod/kit";
import mysql2 from "mysql2/promise";
import type { MysqlListenerConfig } from "../../config/config.ts";
import { splice } from "../../flow/splice.ts";
import { Wire } from "../../flow/wire.ts";
import { createUpstream } from "../../upstream/create-upstream.ts";
import type { Session } from "../protocol.ts";
import { fileCredentials, listenOn } from "../tls/serving.fixture.ts";
import { encodeError } from "./error-packet.ts";
import { encodeGreeting, type Greeting } from "./greeting.ts";
import { mysqlProtocol } from "./mysql.ts";
import { mysqlListenerTo, refusalAt } from "./mysql.fixture.ts";
import { PacketChannel } from "./packet-channel.ts";
import { greeting8 } from "./sha2-server.fixture.ts";

const scope = new Scope();
after(() => scope[Symbol.asyncDispose]());

/** CLIENT_MULTI_RESULTS, which mysql2 takes wherever it is offered. */
const MULTI_RESULTS = 1 << 17;
const ok = Buffer.from("00000002000000", "hex");
const shuttingDown = encodeError({ errno: 1053, sqlState: "08S01", text: "Server shutdown in progress" }, true);

/** A server that greets so and answers each login with what `answer` says; it counts them. */
async function startServer(greeting: Greeting, answer: (login: number) => Buffer): Promise<{ port: number; logins: number }> {
  const state = { port: 0, logins: 0 };
  const server = createServer((socket) => {
    const packets = new PacketChannel(new Wire(socket.on("error", () => {})), "client");
    packets.write(encodeGreeting(greeting));
    packets.read().then(
      () => packets.write(answer(state.logins++)),
      () => socket.destroy(),
    );
  });
  state.port = await listenOn(server, scope);
  return state;
}

/** Serves over the real upstreams, and gives the port. */
async function serveOver(ports: readonly number[], given: Partial<MysqlListenerConfig> = {}): Promise<number> {
  const base = mysqlListenerTo(0, given);
  const endpoints = ports.map((port) => ({ kind: "tcp", host: "127.0.0.1", port }) as const);
  const retry = { attempts: ports.length, backoffMs: 1, maxBackoffMs: 1 };
  const listener = { ...base, upstream: { ...base.upstream, endpoints, retry } };
  const upstream = createUpstream({ config: listener.upstream, check: undefined, clock: systemClock, log: silentLogger });
  const protocol = mysqlProtocol(listener, { credentials: fileCredentials, log: silentLogger });
  if (protocol.kind !== "wire") throw new Error("Not a protocol of wires");
  const { signal } = scope;
  const nobody = { address: "", port: 0 };
  const session: Session = {
    id: 1,
    log: silentLogger,
    client: nobody,
    local: nobody,
    draining: signal,
    end: signal,
    connect: (open) => upstream.connect(open, { signal }),
    used: () => {},
    note: () => {},
    count: () => {},
    splice: async (client, server, taps) => void (await splice(client, server, taps).done),
  };
  const server = createServer({ allowHalfOpen: true }, (socket) => void protocol.serve(new Wire(socket), session).catch(() => {}));
  return await listenOn(server, scope);
}

async function isLetIn(port: number): Promise<number> {
  const connection = await mysql2.createConnection({ host: "127.0.0.1", port, user: "legacy" });
  connection.destroy();
  return connection.threadId;
}

test("mysqlProtocol() passes a server by that nobody can reach, and greets as the next one does", async () => {
  const other = await startServer({ ...greeting8, connectionId: 88 }, () => ok);
  assert.equal(await isLetIn(await serveOver([1, other.port])), 88);
});

test("mysqlProtocol() logs in to the next server of the same release when the one that greeted shuts down", async () => {
  const first = await startServer(greeting8, () => shuttingDown);
  const second = await startServer({ ...greeting8, version: Buffer.from("8.0.40") }, () => ok);
  await isLetIn(await serveOver([first.port, second.port]));
  assert.deepEqual([first.logins, second.logins], [1, 1]);
});

for (const [what, greeting] of Object.entries({
  "another release": { ...greeting8, version: Buffer.from("8.4.1") },
  "another make": { ...greeting8, capabilities: { base: (greeting8.capabilities.base & ~1) >>> 0, mariadb: 0 } },
  "less on offer": { ...greeting8, capabilities: { base: (greeting8.capabilities.base & ~MULTI_RESULTS) >>> 0, mariadb: 0 } },
})) {
  test(`mysqlProtocol() gives no client that was greeted already to a server of ${what}`, async () => {
    const first = await startServer(greeting8, () => shuttingDown);
    const second = await startServer(greeting, () => ok);
    const refusal = await refusalAt(await serveOver([first.port, second.port]));
    assert.deepEqual([refusal.errno, first.logins], [1158, 1]);
  });
}

test("mysqlProtocol() reads the credentials once more when a login is refused, and only logs in again with others", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ambassador-mysql-"));
  scope.defer(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "password");
  writeFileSync(path, "first");
  const refused = encodeError({ errno: 1045, sqlState: "28000", text: "" }, true);
  const server = await startServer(greeting8, (login) => {
    if (login === 0) writeFileSync(path, "second");
    return login === 1 ? ok : refused;
  });
  const login = { ...mysqlListenerTo(0).login, password: { kind: "file", path } as const };
  const port = await serveOver([server.port], { login });
  await isLetIn(port);
  assert.equal(server.logins, 2);
  assert.equal((await refusalAt(port)).errno, 1045);
  assert.equal(server.logins, 3);
});
