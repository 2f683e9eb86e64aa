import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { eventually, type Scope } from "@peapod/kit";
import { scopeOf } from "../../frame/test-scope.fixture.ts";
import { ask, type EchoServer, LineClient, type RunningAmbassador, startAmbassador, startEcho, tcpListener } from "./program.fixture.ts";

const WITHIN = { withinMs: 10_000 };
const healthCheck = { interval: "500ms", timeout: "500ms", unhealthyAfter: 2, healthyAfter: 1, closeConnections: true };
const ENDED = "connections are ended with their endpoint";

/** One listener over two servers, used in turns. */
async function overTwo(
  scope: Scope,
  check: object,
): Promise<{ servers: [EchoServer, EchoServer]; config: object; ambassador: RunningAmbassador }> {
  const servers: [EchoServer, EchoServer] = [await startEcho(scope, "one"), await startEcho(scope, "two")];
  const upstream = { endpoints: servers.map(({ port }) => `127.0.0.1:${port}`), strategy: "round-robin", healthCheck: check };
  const config = { listeners: [tcpListener("db", 1, { upstream })] };
  return { servers, config, ambassador: await startAmbassador(scope, config) };
}

/** Two clients, at the one server and at the other. */
async function clientsOf(ambassador: RunningAmbassador): Promise<[LineClient, LineClient]> {
  const [a, b] = [new LineClient(ambassador.port("db")), new LineClient(ambassador.port("db"))];
  return (await a.line()) === "one" ? (await b.line(), [a, b]) : (await b.line(), [b, a]);
}

test("connections at an endpoint that became unhealthy are reset, those at another go on", async (t) => {
  const { servers, ambassador } = await overTwo(scopeOf(t), healthCheck);
  const [lost, kept] = await clientsOf(ambassador);
  using _lost = lost;
  using _kept = kept;
  for (const client of [lost, kept]) for (let times = 0; times < 100; times += 1) await client.ask("again"); // a connection that is worth something
  const failure = new Promise<NodeJS.ErrnoException>((resolve) => lost.socket.once("error", resolve));
  servers[0].refuse();
  assert.equal((await failure).code, "ECONNRESET");
  assert.equal(await kept.ask("still"), "still");
  using next = new LineClient(ambassador.port("db"));
  assert.equal(await next.line(), "two");
  const address = `127.0.0.1:${servers[0].port}`;
  const told = await eventually(() => ambassador.lines.find(({ message }) => message === "connection ended") ?? false, WITHIN);
  assert.partialDeepStrictEqual(told, { endpoint: address, endedBy: "upstream", reset: "EHOSTDOWN" });
  const [ended, ...more] = ambassador.lines.filter(({ message }) => message === ENDED);
  assert.partialDeepStrictEqual(ended, { listener: "db", endpoint: address, address, connections: 1 });
  assert.deepEqual(more, []);
});

test("connections at an endpoint that became unhealthy go on where nobody said otherwise", async (t) => {
  const { servers, ambassador } = await overTwo(scopeOf(t), { ...healthCheck, closeConnections: false });
  const [one, two] = await clientsOf(ambassador);
  using _one = one;
  using _two = two;
  servers[0].refuse();
  await eventually(() => ambassador.lines.some(({ message }) => message === "endpoint is unhealthy"), WITHIN);
  assert.equal(await one.ask("still"), "still");
  assert.equal(await two.ask("still"), "still");
});

test("connections of a listener that another has taken over from end with their endpoint, too", async (t) => {
  const { servers, config, ambassador } = await overTwo(scopeOf(t), healthCheck);
  const [lost, kept] = await clientsOf(ambassador);
  using _lost = lost;
  using _kept = kept;
  const changed = tcpListener("db", servers[1].port);
  await ambassador.configure({ ...config, listeners: [changed] });
  await eventually(() => ambassador.lines.some(({ message }) => message === "configuration reloaded"), WITHIN);
  assert.equal(await lost.ask("still"), "still");
  servers[0].refuse();
  assert.equal(await lost.line(), undefined);
  assert.equal(await kept.ask("still"), "still");
});

test("a request at an http endpoint that became unhealthy hears of it, and no kept connection there is used again", async (t) => {
  const scope = scopeOf(t);
  const asked: string[] = [];
  let isWell = true;
  const server = createServer((request, response) => {
    if (request.url === "/health") return void response.writeHead(isWell ? 200 : 503).end();
    asked.push(`${request.url} ${request.socket.remotePort}`);
    if (request.url === "/begins") response.write("half");
    if (request.url === "/short") response.end("whole");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  scope.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as { port: number }; // a TCP server's address
  const upstream = { endpoints: [`127.0.0.1:${port}`], healthCheck: { ...healthCheck, kind: "http", path: "/health" } };
  const ambassador = await startAmbassador(scope, { listeners: [{ name: "web", protocol: "http", listen: "127.0.0.1:0", upstream }] });
  const at = ambassador.port("web");
  const silent = ask(at, "/silent");
  const half = fetch(`http://127.0.0.1:${at}/begins`).then(async (response) => await response.text());
  const broken = assert.rejects(half, TypeError);
  await eventually(() => asked.length === 2, WITHIN);
  assert.equal((await ask(at, "/short")).body, "whole"); // its connection is kept
  isWell = false;
  const { status, body } = await silent;
  assert.deepEqual([status, body.includes("EHOSTDOWN")], [502, true]);
  await broken;
  const ended = await eventually(() => ambassador.lines.find(({ message }) => message === ENDED) ?? false, WITHIN);
  assert.equal(ended["connections"], 2);
  isWell = true;
  await eventually(async () => (await ask(at, "/short")).status === 200, WITHIN);
  const ports = asked.flatMap((line) => (line.startsWith("/short ") ? line.slice(7) : []));
  assert.equal(new Set(ports).size, 2);
});
