import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { eventually, Scope } from "@peapod/kit";
import { WebSocket, WebSocketServer } from "ws";
import { exchangeBytes, httpListener, httpUpstream, serveHttp } from "./http.fixture.ts";

test("httpProtocol passes WebSockets, with the credentials put in", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, (_incoming, response) => response.writeHead(426, { Upgrade: "websocket" }).end());
  const webSockets = new WebSocketServer({ server: upstream });
  webSockets.on("connection", (webSocket, incoming) => {
    webSocket.send(`hello ${incoming.headers.authorization}`);
    webSocket.on("message", (data, isBinary) => webSocket.send(data, { binary: isBinary }));
  });
  const auth = { kind: "bearer", token: { kind: "value", value: "t" } } as const;
  const serving = await serveHttp(scope, httpListener(upstream.port, { auth }));
  const client = new WebSocket(`ws://127.0.0.1:${serving.port}/`, { headers: { Authorization: "Bearer wrong" } });
  const received: string[] = [];
  client.on("message", (data) => received.push(Buffer.isBuffer(data) ? data.toString() : ""));
  await once(client, "open");
  const big = "x".repeat(1_000_000);
  client.send(big);
  await eventually(() => received.length === 2, { withinMs: 2_000 });
  assert.deepEqual(received, ["hello Bearer t", big]);
  client.close();
  await once(client, "close");
  await eventually(() => serving.open() === 0 && serving.leases() === 0, { withinMs: 2_000 });
  assert.equal(serving.facts[0]?.status, 101);
});

test("httpProtocol passes what comes with the head of an upgrade, both ways, and half-closed ends", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, () => {});
  upstream.on("upgrade", (_incoming, socket, head) => {
    socket.write(`HTTP/1.1 101 Yes\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nfirst:${head.toString()}`);
    socket.on("data", (chunk) => socket.write(chunk)).on("end", () => socket.end("last"));
  });
  const serving = await serveHttp(scope, httpListener(upstream.port));
  const socket = connect({ port: serving.port, host: "127.0.0.1", allowHalfOpen: true });
  let got = "";
  socket.on("data", (chunk) => (got += chunk.toString()));
  socket.end("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly");
  await once(socket, "end");
  assert.match(got, /^HTTP\/1.1 101 Yes\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nfirst:earlylast$/);
  socket.destroy();
  await eventually(() => serving.open() === 0, { withinMs: 2_000 });
});

test("httpProtocol relays the answer of an upstream that does not upgrade, and asks none for HTTP/2", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, (incoming, response) => response.end(`${incoming.headers.upgrade}`));
  const serving = await serveHttp(scope, httpListener(upstream.port));
  const asking = (protocol: string): string =>
    `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\nUpgrade: ${protocol}\r\n\r\n`;
  upstream.on("upgrade", (_incoming, socket) => socket.end("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"));
  assert.match(await exchangeBytes(serving.port, asking("websocket")), /^HTTP\/1.1 403 No\r\n[^]*Connection: close\r\n\r\nno$/);
  upstream.removeAllListeners("upgrade");
  assert.match(await exchangeBytes(serving.port, asking("h2c"), "undefined"), /^HTTP\/1.1 200 OK/);
});
