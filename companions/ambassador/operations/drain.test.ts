import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { ask, LineClient, startAmbassador, startEcho, tcpListener } from "./program.fixture.ts";
import { scopeOf } from "../../frame/test-scope.fixture.ts";

const WITHIN = { withinMs: 5_000 };

test("a drain accepts no more, says so at /readyz, lets what runs go on, and ends when that has ended", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const ambassador = await startAmbassador(scope, { drainTimeout: "1m", listeners: [tcpListener("db", echo.port)] });
  using client = new LineClient(ambassador.port("db"));
  await client.line();
  ambassador.stop.abort();
  await eventually(async () => (await ask(ambassador.admin, "/readyz")).status === 503, WITHIN);
  assert.match((await ask(ambassador.admin, "/readyz")).body, /draining/);
  assert.equal((await ask(ambassador.admin, "/healthz")).status, 200);
  using late = new LineClient(ambassador.port("db"));
  assert.equal(await late.line(), undefined);
  assert.equal(await client.ask("still"), "still");
  await client.end();
  await ambassador.ended;
  const ends = ambassador.lines.filter(({ message }) => message === "connection ended");
  assert.deepEqual(
    ends.map(({ endedBy, fromClientBytes, toClientBytes }) => ({ endedBy, fromClientBytes, toClientBytes })),
    [{ endedBy: "client", fromClientBytes: 6, toClientBytes: 11 }],
  );
});

test("connections that do not end by themselves are ended at the deadline", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const ambassador = await startAmbassador(scope, { drainTimeout: "200ms", listeners: [tcpListener("db", echo.port)] });
  using client = new LineClient(ambassador.port("db"));
  await client.line();
  ambassador.stop.abort();
  assert.equal(await client.line(), undefined);
  await ambassador.ended;
  assert.ok(ambassador.lines.some(({ message, endedBy }) => message === "connection ended" && endedBy === "ambassador"));
});

test("being told twice ends everything at once", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const ambassador = await startAmbassador(scope, { drainTimeout: "10m", listeners: [tcpListener("db", echo.port)] });
  using client = new LineClient(ambassador.port("db"));
  await client.line();
  ambassador.stop.abort();
  ambassador.hurry.abort();
  await ambassador.ended;
  assert.equal(await client.line(), undefined);
});

test("POST /quitquitquit ends it, but not for a web page or a GET", async (t) => {
  const scope = scopeOf(t);
  const echo = await startEcho(scope, "echo");
  const ambassador = await startAmbassador(scope, { listeners: [tcpListener("db", echo.port)] });
  const path = "/quitquitquit";
  assert.equal((await ask(ambassador.admin, path)).status, 405);
  assert.equal((await ask(ambassador.admin, path, { method: "POST", headers: { origin: "http://evil.example" } })).status, 403);
  assert.equal((await ask(ambassador.admin, "/readyz")).status, 200);
  assert.equal((await ask(ambassador.admin, path, { method: "POST" })).status, 200);
  await ambassador.ended;
});
