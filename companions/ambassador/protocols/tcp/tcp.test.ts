import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { promisify } from "node:util";
import { eventually, Scope, silentLogger } from "@peapod/kit";
import type { CommonListenerConfig, TcpListenerConfig } from "../../config/config.ts";
import { makeAuthority } from "../../../frame/credentials/certificates.fixture.ts";
import { askLine, exchange, fileCredentials, listenerTo, listenOn, type Serving, startServing } from "../tls/serving.fixture.ts";
import { tcpProtocol } from "./tcp.ts";
import { scopeOf } from "../../../frame/test-scope.fixture.ts";

const exec = promisify(execFile);

test("tcpProtocol() passes bytes both ways, and what comes after the client's end", async (t) => {
  const scope = scopeOf(t);
  const port = await startEcho(scope);
  const serving = await serve(scope, listenerTo(port));
  const text = "x".repeat(1_000_000);
  assert.equal(await exchange(serving.port, text), `${text}the end`);
  await eventually(() => serving.outcomes.length === 1, { withinMs: 1_000 });
  assert.deepEqual(serving.outcomes, [undefined]);
});

test("tcpProtocol() resets the client where nobody answers upstream", async (t) => {
  const scope = scopeOf(t);
  const serving = await serve(scope, listenerTo(await unusedPort()));
  await assert.rejects(exchange(serving.port, "hello"), { code: "ECONNRESET" });
  await eventually(() => serving.outcomes.length === 1, { withinMs: 1_000 });
  assert.equal((serving.outcomes[0] as { code?: string }).code, "UPSTREAM_UNREACHABLE");
});

test("tcpProtocol() speaks TLS with the client where the listener has a certificate", async (t) => {
  const scope = scopeOf(t);
  const authority = await makeAuthority(scope);
  const files = await authority.issue();
  const port = await startEcho(scope);
  const serving = await serve(scope, { ...listenerTo(port), serverTls: { ...files, clientCaFile: undefined } });
  assert.equal(
    await askOpenssl(serving.port, ["-CAfile", authority.caFile, "-verify_return_error", "-verify_hostname", "localhost"]),
    "bye\n",
  );
});

test("tcpProtocol() lets in only clients with a certificate of the authority where one is named", async (t) => {
  const scope = scopeOf(t);
  const authority = await makeAuthority(scope);
  const server = await authority.issue();
  const mine = await authority.issue({ name: "client" });
  const port = await startEcho(scope);
  const serving = await serve(scope, { ...listenerTo(port), serverTls: { ...server, clientCaFile: authority.caFile } });
  assert.equal(await askOpenssl(serving.port, ["-cert", mine.certFile, "-key", mine.keyFile]), "bye\n");
  await assert.rejects(askOpenssl(serving.port, []));
  await eventually(() => serving.outcomes.length === 2, { withinMs: 1_000 });
  assert.equal((serving.outcomes[1] as { code?: string }).code, "CLIENT_PROTOCOL");
});

test("tcpProtocol() ends a client that speaks no TLS, or says nothing at all", async (t) => {
  const scope = scopeOf(t);
  const authority = await makeAuthority(scope);
  const serverTls = { ...(await authority.issue()), clientCaFile: undefined };
  const port = await startEcho(scope);
  const serving = await serve(scope, { ...listenerTo(port), serverTls, handshakeMs: 100 });
  await assert.rejects(askLine(serving.port, "hello, in plain text\n"));
  await assert.rejects(askLine(serving.port, ""));
  await eventually(() => serving.outcomes.length === 2, { withinMs: 1_000 });
  assert.deepEqual(
    serving.outcomes.map((outcome) => (outcome as { code?: string }).code),
    ["CLIENT_PROTOCOL", "CLIENT_GONE"],
  );
});

test("tcpProtocol() ends both sides when its session must end", async (t) => {
  const scope = scopeOf(t);
  const port = await startEcho(scope);
  const serving = await serve(scope, listenerTo(port));
  const socket = connect({ port: serving.port, host: "127.0.0.1" });
  socket.write("hello");
  await once(socket, "data");
  serving.end.abort();
  await once(socket, "close");
  await eventually(() => serving.outcomes.length === 1, { withinMs: 1_000 });
});

async function serve(scope: Scope, common: CommonListenerConfig): Promise<Serving> {
  const listener: TcpListenerConfig = { ...common, protocol: "tcp", datapath: "user" };
  return await startServing(tcpProtocol(listener, { credentials: fileCredentials, log: silentLogger }), listener, { scope });
}

/** Says what it hears, and `the end` once the client has ended; ends by itself after `bye`. */
async function startEcho(scope: Scope): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket, { end: false });
    socket.on("data", (chunk) => String(chunk) === "bye\n" && socket.end());
    socket.on("end", () => socket.end("the end"));
  });
  return await listenOn(server, scope);
}

async function unusedPort(): Promise<number> {
  const scope = new Scope();
  const port = await listenOn(createServer(), scope);
  await scope[Symbol.asyncDispose]();
  return port;
}

/** Says `bye` by `openssl s_client`, which goes when the server ends, and gives what it printed of the answer. */
async function askOpenssl(port: number, args: readonly string[]): Promise<string> {
  const promise = exec("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, "-quiet", ...args]);
  promise.child.stdin?.write("bye\n");
  return (await promise).stdout;
}
