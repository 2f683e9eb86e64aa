import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { eventually } from "@peapod/kit";
import { ask, LineClient, startAmbassador, startEcho, statusOf, tcpListener } from "./program.fixture.ts";
import { scopeOf } from "../../frame/test-scope.fixture.ts";

const WITHIN = { withinMs: 5_000 };

test("a listener on a UNIX socket has the configured mode, and its file goes with it", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const path = join(tmpdir(), `ambassador-${process.pid}.sock`);
  const ambassador = await startAmbassador(scope, {
    listeners: [tcpListener("db", echo.port, { listen: `unix:${path}`, socketMode: "0600" })],
  });
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  using client = new LineClient(path);
  assert.equal(await client.line(), "echo");
  await client.end();
  await eventually(() => ambassador.lines.some(({ message, client: who }) => message === "connection ended" && who === "unix"), WITHIN);
  ambassador.stop.abort();
  await ambassador.ended;
  await assert.rejects(stat(path), { code: "ENOENT" });
});

test("who finds no place waits in line, and hears of it when the line is full", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const limits = { connections: 1, queue: { length: 1, timeout: "10s" } };
  const ambassador = await startAmbassador(scope, { listeners: [tcpListener("db", echo.port, { limits })] });
  using first = new LineClient(ambassador.port("db"));
  assert.equal(await first.line(), "echo");
  using second = new LineClient(ambassador.port("db"));
  await eventually(async () => (await statusOf(ambassador)).listeners[0]?.queued === 1, WITHIN);
  using third = new LineClient(ambassador.port("db"));
  assert.equal(await third.line(), undefined);
  await first.end();
  assert.equal(await second.line(), "echo");
  assert.match((await ask(ambassador.admin, "/metrics")).body, /^ambassador_failures_total\{listener="db",code="LIMIT_REACHED"\} 1$/m);
});

for (const [protocol, how] of [
  ["tcp", "resetAndDestroy"],
  ["redis", "destroy"],
] as const) {
  test(`a client of ${protocol} that goes while it waits in line (${how}) leaves its place there to others`, async (t) => {
    const scope = scopeOf(t);
    const echo = await startEcho(scope, "+PONG\r");
    const limits = { connections: 1, queue: { length: 1, timeout: "10m" } };
    const ambassador = await startAmbassador(scope, { listeners: [tcpListener("db", echo.port, { protocol, limits })] });
    using first = new LineClient(ambassador.port("db"));
    await eventually(() => echo.connections.size === 1, WITHIN);
    const queued = async (): Promise<number | undefined> => (await statusOf(ambassador)).listeners[0]?.queued;
    const second = connect(ambassador.port("db"), "127.0.0.1");
    await eventually(async () => (await queued()) === 1, WITHIN);
    second[how]();
    await eventually(async () => (await queued()) === 0, WITHIN);
    await first.end();
    await eventually(() => ambassador.lines.some(({ code }) => code === "CLIENT_GONE"), WITHIN);
  });
}

test("an http listener serves sockets, counts requests, and logs each with its rate", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  const web = { name: "web", protocol: "http", listen: "127.0.0.1:0", limits: { rate: { perSecond: 1, burst: 1 } } };
  const upstream = { endpoints: [`127.0.0.1:${echo.port}`], healthCheck: "off" };
  const ambassador = await startAmbassador(scope, { listeners: [{ ...web, upstream }] });
  const answers = [await ask(ambassador.port("web"), "/a?secret=1"), await ask(ambassador.port("web"), "/b")];
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 429],
  );
  const told = ambassador.lines.filter(({ message }) => String(message).startsWith("request "));
  assert.deepEqual(
    told.map(({ message, method, path, status, code }) => ({ message, method, path, status, code })),
    [
      { message: "request ended", method: "GET", path: "/a", status: 200, code: undefined },
      { message: "request failed", method: "GET", path: "/b", status: 429, code: "RATE_LIMITED" },
    ],
  );
  assert.match((await ask(ambassador.admin, "/metrics")).body, /^ambassador_requests_total\{listener="web",status="200"\} 1$/m);
});

test("short connections leave nothing behind: no handle, no entry, no memory", async (t) => {
  const scope = scopeOf(t);
  const server = createServer((socket) => socket.on("error", () => {}).end("bye\n"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  scope.defer(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  const { port } = server.address() as { port: number }; // a TCP server's address
  const ambassador = await startAmbassador(scope, { accessLog: false, listeners: [tcpListener("db", port)] });
  const round = async (count: number): Promise<number> => {
    for (let done = 0; done < count; done += 20) await Promise.all(Array.from({ length: 20 }, () => once(ambassador.port("db"))));
    await eventually(async () => (await statusOf(ambassador)).listeners[0]?.connections === 0, WITHIN);
    return heapBytes();
  };
  const handles = (): number => process.getActiveResourcesInfo().filter((name) => /TCPSocket|Timeout/.test(name)).length;
  await round(1_000); // compiled code, and tables that grow to their size, come once
  const before = { heap: await round(200), handles: handles() };
  const heaps = [before.heap];
  for (let more = 0; more < 3; more += 1) heaps.push(await round(1_000));
  assert.ok(handles() <= before.handles + 2, `${before.handles} handles became ${handles()}`);
  const stayed = heaps.slice(1).map((heap, index) => (heap - (heaps[index] ?? 0)) / 1_000);
  assert.ok(Math.min(...stayed) < 500, `${stayed.join(", ")} bytes of each connection stayed`); // what is compiled late shows in one round, a leak in each
});

/** One connection from beginning to end. */
async function once(port: number): Promise<void> {
  const socket: Socket = connect(port, "127.0.0.1");
  await new Promise<void>((resolve, reject) => void socket.resume().once("close", resolve).once("error", reject));
}

function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void; // there with that flag
  for (let turn = 0; turn < 3; turn += 1) collect();
  return process.memoryUsage().heapUsed;
}
