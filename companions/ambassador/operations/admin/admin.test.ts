import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, systemClock } from "@peapod/kit";
import { ask, LineClient, startAmbassador, startEcho, tcpListener } from "../program.fixture.ts";
import { waitReady } from "../../../frame/program/wait.ts";
import { scopeOf } from "../../../frame/test-scope.fixture.ts";

const WITHIN = { withinMs: 5_000 };

test("the page shows listeners, endpoints, connections and a refused configuration, and has nothing from elsewhere", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const ambassador = await startAmbassador(scope, { listeners: [tcpListener("orders", echo.port)] });
  using client = new LineClient(ambassador.port("orders"));
  await client.line();
  await ambassador.configure("listeners: <script>alert(1)</script>");
  await eventually(async () => /was refused/.test((await ask(ambassador.admin, "/")).body), WITHIN);
  const { body } = await ask(ambassador.admin, "/");
  for (const part of ["orders", `127.0.0.1:${echo.port}`, `127.0.0.1:${client.socket.localPort}`, "ready"])
    assert.ok(body.includes(part), part);
  assert.ok(!/<script|src=|@import|href="http/.test(body));
  assert.match(body, /<meta http-equiv="refresh"/);
  assert.doesNotMatch((await ask(ambassador.admin, "/?refresh=off")).body, /<meta http-equiv="refresh"/);
});

test("/connections and /endpoints are JSON of what is there now", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const ambassador = await startAmbassador(scope, { listeners: [tcpListener("db", echo.port)] });
  using client = new LineClient(ambassador.port("db"));
  await client.line();
  const connections = JSON.parse((await ask(ambassador.admin, "/connections")).body) as Record<string, unknown>[]; // what the program wrote
  assert.deepEqual(
    connections.map(({ listener, endpoint, toClientBytes }) => ({ listener, endpoint, toClientBytes })),
    [{ listener: "db", endpoint: `127.0.0.1:${echo.port}`, toClientBytes: 5 }],
  );
  const endpoints = JSON.parse((await ask(ambassador.admin, "/endpoints")).body) as { endpoints: { connections: number }[] }[]; // likewise
  assert.equal(endpoints[0]?.endpoints[0]?.connections, 1);
});

test("/readyz names the listener that has no endpoint, without ever dialling one; a wait dials", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const healthCheck = { kind: "connect", interval: "1s", timeout: "500ms", unhealthyAfter: 1 };
  const ambassador = await startAmbassador(scope, {
    listeners: [
      tcpListener("up", echo.port),
      tcpListener("down", 1, { upstream: { endpoints: ["127.0.0.1:1"], healthCheck } }),
      tcpListener("quiet", 1, { upstream: { endpoints: ["127.0.0.1:1"], healthCheck: "off", retry: { attempts: 1 } } }),
    ],
  });
  await eventually(async () => (await ask(ambassador.admin, "/readyz")).status === 503, WITHIN);
  assert.match((await ask(ambassador.admin, "/readyz")).body, /^down: no endpoint is available \(127\.0\.0\.1:1: .*\)\n$/);
  assert.equal(echo.connections.size, 0);
  assert.equal((await ask(ambassador.admin, "/readyz?listener=up&upstream=reachable")).status, 200);
  assert.equal((await ask(ambassador.admin, "/readyz?listener=quiet")).status, 200);
  assert.match((await ask(ambassador.admin, "/readyz?listener=quiet&upstream=reachable")).body, /^quiet: Cannot connect to 127\.0\.0\.1:1/);
  assert.equal((await ask(ambassador.admin, "/readyz?listener=nobody")).status, 404);
});

test("/readyz waits for the first time that the upstream's name is resolved, and a wait with it; later failures change nothing", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  let [addresses, lookups]: [string[], number] = [[], 0];
  const resolve = async (host: string): Promise<string[]> => {
    lookups += 1;
    await Promise.resolve();
    if (addresses.length === 0) throw new Error(`getaddrinfo ENOTFOUND ${host}`);
    return addresses;
  };
  const upstream = { endpoints: [`db.test:${echo.port}`], resolveInterval: "1s" };
  const listeners = [tcpListener("db", 0, { upstream }), tcpListener("up", echo.port)];
  const ambassador = await startAmbassador(scope, { listeners }, { resolve });
  const line = `db: no endpoint is available (db.test:${echo.port}: name cannot be resolved (getaddrinfo ENOTFOUND db.test))\n`;
  await eventually(async () => (await ask(ambassador.admin, "/readyz")).body === line, WITHIN);
  assert.equal((await ask(ambassador.admin, "/readyz")).status, 503);
  assert.equal((await ask(ambassador.admin, "/readyz?listener=up")).status, 200);
  assert.match((await ask(ambassador.admin, "/")).body, /name cannot be resolved/);
  assert.match((await ask(ambassador.admin, "/metrics")).body, /^ambassador_listener_ready\{listener="db"\} 0$/m);
  const wait = { admin: `127.0.0.1:${ambassador.admin}`, query: { upstream: "reachable" }, clock: systemClock };
  const { signal } = new AbortController();
  assert.equal(await waitReady({ ...wait, timeoutMs: 50 }, signal), line.trim());

  const waiting = waitReady({ ...wait, timeoutMs: 20_000 }, signal);
  addresses = ["127.0.0.1"];
  assert.equal(await waiting, undefined);
  assert.equal((await ask(ambassador.admin, "/readyz")).status, 200);
  addresses = [];
  const before = lookups;
  await eventually(() => lookups > before + 1, WITHIN);
  assert.equal((await ask(ambassador.admin, "/readyz?upstream=reachable")).status, 200);
});

test("no path of the admin server shows a credential, nor does the log", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "-ERR no redis here\r");
  const seed = await startAmbassador(scope, { listeners: [tcpListener("db", echo.port)] });
  const passwordFile = join(seed.folder, "password");
  await writeFile(passwordFile, "hunter2-hunter2");
  const upstream = { endpoints: [`127.0.0.1:${echo.port}`], healthCheck: "off", retry: { attempts: 1 } };
  const redis = { name: "cache", protocol: "redis", listen: "127.0.0.1:0", login: { username: "app", passwordFile }, upstream };
  await seed.configure({ listeners: [redis] });
  await eventually(() => seed.lines.some(({ message }) => message === "configuration reloaded"), WITHIN);
  assert.notEqual((await ask(seed.admin, "/readyz?upstream=reachable")).status, 200); // it tried, and was refused
  const bodies = await Promise.all(
    ["/", "/status", "/connections", "/endpoints", "/metrics", "/readyz"].map(async (path) => (await ask(seed.admin, path)).body),
  );
  assert.ok(!`${bodies.join("")}${JSON.stringify(seed.lines)}`.includes("hunter2"));
});

test("unknown paths and methods are told what there is", async (t) => {
  const ambassador = await startAmbassador(scopeOf(t), { listeners: [tcpListener("db", 1)] });
  const unknown = await ask(ambassador.admin, "/metric");
  assert.equal(unknown.status, 404);
  assert.match(unknown.body, /\/metrics/);
  assert.equal((await ask(ambassador.admin, "/metrics", { method: "POST" })).status, 405);
  assert.deepEqual(await ask(ambassador.admin, "/healthz", { method: "HEAD" }), { status: 200, body: "" });
});
