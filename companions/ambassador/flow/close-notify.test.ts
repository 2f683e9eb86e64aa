import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { eventually, type Scope, silentLogger } from "@peapod/kit";
import { tcpProtocol } from "../protocols/tcp/tcp.ts";
import { makeAuthority } from "../../frame/credentials/certificates.fixture.ts";
import { fileCredentials, listenerTo, listenOn, startServing } from "../protocols/tls/serving.fixture.ts";
import { tlsProtocol } from "../protocols/tls/tls.ts";
import { scopeOf } from "../../frame/test-scope.fixture.ts";

const parts = { credentials: fileCredentials, log: silentLogger };
/** Its records say in plain text what they are. */
const maxVersion = "TLSv1.2";
const ALERT = 21; // RFC 5246, 6.2.1

test("a TLS client that ends first gets TLS's end before the connection's", async (t) => {
  const scope = scopeOf(t);
  const authority = await makeAuthority(scope);
  const files = await authority.issue();
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  const listener = {
    ...listenerTo(await listenOn(echo, scope)),
    protocol: "tcp" as const,
    datapath: "user" as const,
    idleMs: undefined,
    serverTls: { ...files, clientCaFile: undefined },
  };
  const serving = await startServing(tcpProtocol(listener, parts), listener, { scope });
  const relay = await startRelay(scope, serving.port, "server");
  const ca = readFileSync(authority.caFile);
  const client = connectTls({ port: relay.port, host: "127.0.0.1", ca, servername: "localhost", maxVersion });
  scope.defer(() => void client.destroy());
  client.write("hello");
  assert.equal(String((await once(client, "data"))[0]), "hello"); // nothing is on its way any more
  client.end();
  assert.equal(recordsOf(await relay.said).at(-1), ALERT);
  await eventually(() => serving.outcomes.length === 1, { withinMs: 5_000 });
  assert.equal(serving.outcomes[0], undefined);
});

test("a TLS upstream that ends first gets TLS's end before the connection's", async (t) => {
  const scope = scopeOf(t);
  const files = await (await makeAuthority(scope)).issue();
  const server = createTlsServer({
    key: readFileSync(files.keyFile),
    cert: readFileSync(files.certFile),
    maxVersion,
    allowHalfOpen: true,
  });
  server.on("secureConnection", (socket: Socket) => socket.on("error", () => {}).end("bye"));
  const relay = await startRelay(scope, await listenOn(server, scope), "client");
  const listener = { ...listenerTo(relay.port, { mode: "require" }), protocol: "tls" as const, idleMs: undefined };
  const serving = await startServing(tlsProtocol(listener, parts), listener, { scope });
  const client = connect({ port: serving.port, host: "127.0.0.1", allowHalfOpen: true });
  scope.defer(() => void client.destroy());
  let text = "";
  client.setEncoding("utf8").on("data", (piece: string) => (text += piece));
  await once(client, "end");
  assert.equal(text, "bye");
  client.end();
  assert.equal(recordsOf(await relay.said).at(-1), ALERT);
});

/** Passes one connection on to a port, as it is; `said`: all that the one side has sent, once it has ended or is gone. */
async function startRelay(scope: Scope, port: number, side: "client" | "server"): Promise<{ port: number; said: Promise<Buffer> }> {
  const said = Promise.withResolvers<Buffer>();
  const relay = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    scope.defer(() => void far.destroy());
    const chunks: Buffer[] = [];
    const speaker = side === "client" ? near : far;
    speaker.on("data", (chunk: Buffer) => chunks.push(chunk));
    for (const event of ["end", "close"] as const) speaker.once(event, () => said.resolve(Buffer.concat(chunks)));
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const)
      from.on("error", () => to.destroy()).pipe(to);
  });
  return { port: await listenOn(relay, scope), said: said.promise };
}

/** The types of TLS records. */
function recordsOf(bytes: Buffer): number[] {
  const types: number[] = [];
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) types.push(bytes.readUInt8(at));
  return types;
}
