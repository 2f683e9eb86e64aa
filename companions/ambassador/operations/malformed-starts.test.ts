import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { type Scope, startTimer } from "@peapod/kit";
import { makeAuthority } from "../../frame/credentials/certificates.fixture.ts";
import { scopeOf } from "../../frame/test-scope.fixture.ts";
import { malformedStarts } from "./malformed-starts.fixture.ts";
import { ask, LineClient, startAmbassador, startEcho, tcpListener } from "./program.fixture.ts";

/** Whoever has it then still waits for more, and is left. */
const PATIENCE_MS = 150;
const AT_ONCE = 60;

/** An upstream that says one malformed start after the other, each to another connection. */
async function startHostile(scope: Scope): Promise<number> {
  const starts = [...malformedStarts(7)];
  let next = 0;
  const server = createServer((socket) => {
    socket.on("error", () => {}); // whoever hangs up
    socket.resume().end(starts[next++ % starts.length] ?? Buffer.alloc(0));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  scope.defer(() => void server.close());
  return (server.address() as AddressInfo).port; // a TCP server's address is one
}

async function begin(socket: Socket, start: Buffer): Promise<void> {
  socket.on("error", () => {}); // being cut off is an answer
  socket.resume().end(start);
  using _timer = startTimer(() => socket.destroy(), PATIENCE_MS);
  await new Promise((resolve) => socket.once("close", resolve));
}

test("whatever a client or an upstream begins with ends its own connection, and no other", async (t) => {
  const scope = scopeOf(t);
  const folder = await mkdtemp(join(tmpdir(), "ambassador-starts-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, "secret");
  const login = { username: "app", passwordFile };
  const [echo, hostile, authority] = await Promise.all([startEcho(scope, "echo"), startHostile(scope), makeAuthority(scope)]);
  const [serverTls, ca] = await Promise.all([authority.issue(), readFile(authority.caFile)]);
  const upstream = { endpoints: [`127.0.0.1:${hostile}`], healthCheck: "off", retry: { attempts: 1 } };
  const common = { listen: "127.0.0.1:0", upstream };
  const listeners = [
    { name: "http", protocol: "http", ...common },
    { name: "https", protocol: "http", ...common, serverTls },
    { name: "postgres", protocol: "postgres", ...common, login },
    { name: "mysql", protocol: "mysql", ...common, login },
    { name: "redis", protocol: "redis", ...common, login },
    { name: "tls", protocol: "tls", ...common, upstream: { ...upstream, tls: { mode: "require" } } },
    { name: "tcp", protocol: "tcp", ...common, serverTls },
    { name: "proxied", protocol: "redis", ...common, acceptProxyProtocol: true },
    { name: "proxied-http", protocol: "http", ...common, acceptProxyProtocol: true },
  ];
  const ambassador = await startAmbassador(scope, { accessLog: false, listeners: [...listeners, tcpListener("echo", echo.port)] });
  let hasEnded = false;
  const note = (): void => void (hasEnded = true);
  void ambassador.ended.then(note, note);
  using client = new LineClient(ambassador.port("echo"));
  assert.equal(await client.line(), "echo");

  const plainly = [ambassador.admin, ...listeners.map(({ name }) => ambassador.port(name))].map((port) => () => connect(port, "127.0.0.1"));
  const withinTls = ["https", "tcp"].map((name) => () => connectTls({ port: ambassador.port(name), ca, host: "127.0.0.1" }));
  const left = [...malformedStarts(1)].flatMap((start) => [...plainly, ...withinTls].map((open) => ({ open, start })));
  const one = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await begin(next.open(), next.start);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));

  assert.equal(hasEnded, false);
  assert.equal(await client.ask("still"), "still");
  assert.equal((await ask(ambassador.admin, "/healthz")).status, 200);
  assert.deepEqual(
    ambassador.lines.filter(({ message }) => String(message).includes("bug")),
    [],
  );
});

test("a request whose target is no path is told so", async (t) => {
  const ambassador = await startAmbassador(scopeOf(t), { listeners: [tcpListener("db", 1)] });
  using client = new LineClient(ambassador.admin);
  client.socket.write("GET *% HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  assert.equal(await client.line(), "HTTP/1.1 400 Bad Request\r");
});
