import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, Scope } from "@peapod/kit";
import { LineClient, startAmbassador, startEcho, tcpListener } from "./program.fixture.ts";

const WITHIN = { withinMs: 5_000 };

test("the client that a PROXY header names is the one in the log and in the header sent on; a connection without one is refused", async () => {
  await using scope = new Scope();
  const echo = await startEcho(scope, "echo");
  const upstream = { endpoints: [`127.0.0.1:${echo.port}`], sendProxyProtocol: "v1", healthCheck: "off" };
  const ambassador = await startAmbassador(scope, { listeners: [tcpListener("db", echo.port, { acceptProxyProtocol: true, upstream })] });
  using client = new LineClient(ambassador.port("db"));
  client.socket.write("PROXY TCP4 192.0.2.7 192.0.2.8 4711 5432\r\nhello\n");
  assert.equal(await client.line(), "echo");
  assert.equal(await client.line(), "PROXY TCP4 192.0.2.7 192.0.2.8 4711 5432\r");
  assert.equal(await client.line(), "hello");
  await client.end();
  await eventually(() => ambassador.lines.some(({ client: who }) => who === "192.0.2.7:4711"), WITHIN);
  using stranger = new LineClient(ambassador.port("db"));
  stranger.socket.write("hello, is there anybody who speaks no PROXY protocol?\n");
  assert.equal(await stranger.line(), undefined);
  await eventually(() => ambassador.lines.some(({ code }) => code === "CLIENT_PROTOCOL"), WITHIN);
});
