import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { createServer } from "node:net";
import { test, type TestContext } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { eventually, Scope, silentLogger } from "@peapod/kit";
import type { TlsListenerConfig, UpstreamTlsConfig } from "../../config/config.ts";
import { AmbassadorError } from "../../errors.ts";
import { makeAuthority, type TestAuthority } from "../../../frame/credentials/certificates.fixture.ts";
import { startOpensslServer } from "./openssl-server.fixture.ts";
import { askLine, exchange, fileCredentials, listenerTo, listenOn, startServing, targetOf } from "./serving.fixture.ts";
import { tlsProtocol } from "./tls.ts";

/** The server's certificate is good for these alone. */
const goodNames = "DNS:localhost,DNS:db.example";

interface Case {
  readonly does: string;
  readonly mode?: UpstreamTlsConfig["mode"];
  readonly names?: string;
  readonly days?: number;
  readonly knowsCa?: false;
  readonly serverName?: string;
  readonly want: "olleh\n" | RegExp;
}

const cases: readonly Case[] = [
  { does: "trusts a certificate of the authority for the endpoint's name", want: "olleh\n" },
  { does: "refuses another authority's certificate", knowsCa: false, want: /unable to (verify|get)/ },
  { does: "refuses a certificate for another name", names: "DNS:other.example", want: /Hostname\/IP does not match/ },
  { does: "takes a certificate for the configured server name", names: "DNS:db.example", serverName: "db.example", want: "olleh\n" },
  { does: "refuses a certificate that has run out", days: -1, want: /certificate has expired/ },
  { does: "in verify-ca takes a certificate for another name", mode: "verify-ca", names: "DNS:other.example", want: "olleh\n" },
  { does: "in verify-ca refuses another authority's", mode: "verify-ca", knowsCa: false, want: /unable to (verify|get)/ },
  { does: "in verify-ca refuses one that has run out", mode: "verify-ca", days: -1, want: /certificate has expired/ },
  { does: "in require takes any certificate", mode: "require", knowsCa: false, days: -1, names: "DNS:other.example", want: "olleh\n" },
];

for (const { does, mode = "verify-full", names = goodNames, days = 1, knowsCa = true, serverName, want } of cases) {
  test(`tlsProtocol() ${does}`, async (t) => {
    const { scope, authority } = await begin(t);
    const files = await authority.issue({ names, days });
    const server = await startOpensslServer(files, { scope });
    const caFile = knowsCa ? authority.caFile : (await makeAuthority(scope)).caFile;
    const listener = tlsListener(server.port, { mode, caFile, serverName });
    const serving = await startServing(protocolOf(listener), listener, { scope });
    if (typeof want === "string") {
      assert.equal(await askLine(serving.port, "hello\n"), want);
      return;
    }
    await assert.rejects(askLine(serving.port, "hello\n"), { code: "ECONNRESET" });
    const [failure] = await eventually(() => serving.outcomes.length > 0 && serving.outcomes, { withinMs: 2_000 });
    assert.ok(failure instanceof AmbassadorError);
    assert.equal(failure.code, "UPSTREAM_UNTRUSTED");
    assert.match(failure.message, want);
    await assert.rejects(checkOf(listener), { code: "UPSTREAM_UNTRUSTED" });
  });
}

for (const version of ["-tls1_2", "-tls1_3"]) {
  test(`tlsProtocol() speaks ${version} and asks for the endpoint's name`, async (t) => {
    const { scope, authority } = await begin(t);
    const files = await authority.issue();
    const server = await startOpensslServer(files, { scope, args: [version, "-tlsextdebug"] });
    const listener = tlsListener(server.port, { caFile: authority.caFile });
    const serving = await startServing(protocolOf(listener), listener, { scope });
    assert.equal(await askLine(serving.port, "hello\n"), "olleh\n");
    const heard = server.output();
    assert.match(heard, /"server name"[^.]*\.{5}localhost/);
    assert.match(heard, new RegExp(`Protocol version: ${version === "-tls1_2" ? "TLSv1.2" : "TLSv1.3"}`));
    assert.doesNotMatch(heard, /application layer protocol/i);
  });
}

test("tlsProtocol() refuses a server below minVersion", async (t) => {
  const { scope, authority } = await begin(t);
  const server = await startOpensslServer(await authority.issue(), { scope, args: ["-tls1_2"] });
  const listener = tlsListener(server.port, { caFile: authority.caFile, minVersion: "TLSv1.3" });
  await assert.rejects(checkOf(listener), { code: "UPSTREAM_UNTRUSTED" });
});

test("tlsProtocol() shows its certificate to a server that requires one, and the next connection shows a new one", async (t) => {
  const { scope, authority } = await begin(t);
  const args = ["-Verify", "1", "-verify_return_error", "-CAfile", authority.caFile];
  const server = await startOpensslServer(await authority.issue(), { scope, args });
  const mine = await authority.issue({ name: "first-client" });
  const listener = tlsListener(server.port, { caFile: authority.caFile, ...mine });
  const serving = await startServing(protocolOf(listener), listener, { scope });
  assert.equal(await askLine(serving.port, "hello\n"), "olleh\n");
  assert.match(server.output(), /CN = first-client/);
  const next = await authority.issue({ name: "second-client" });
  await copyFile(next.certFile, mine.certFile);
  await copyFile(next.keyFile, mine.keyFile);
  assert.equal(await askLine(serving.port, "hello\n"), "olleh\n");
  assert.match(server.output(), /CN = second-client/);
});

test("tlsProtocol() passes nothing where the server requires a certificate and there is none", async (t) => {
  const { scope, authority } = await begin(t);
  const server = await startOpensslServer(await authority.issue(), { scope, args: ["-Verify", "1", "-verify_return_error"] });
  const listener = tlsListener(server.port, { caFile: authority.caFile });
  const serving = await startServing(protocolOf(listener), listener, { scope });
  const answer = await askLine(serving.port, "hello\n").catch(() => "");
  assert.equal(answer, "");
});

test("tlsProtocol() refuses a server that speaks no TLS, at once or by waiting", async (t) => {
  const { scope, authority } = await begin(t);
  for (const greets of [true, false]) {
    const port = await startPlainServer(scope, greets);
    const listener = tlsListener(port, { caFile: authority.caFile }, 300);
    const failure = await checkOf(listener).catch((error: unknown) => error);
    assert.ok(failure instanceof Error);
    if (greets) assert.equal("code" in failure && failure.code, "UPSTREAM_UNTRUSTED");
    else assert.equal(failure.name, "TimeoutError");
  }
});

test("tlsProtocol() keeps half-closed connections open over TLS, and loses nothing", async (t) => {
  const { scope, authority } = await begin(t);
  const files = await authority.issue();
  const server = createTlsServer(
    { cert: readFileSync(files.certFile), key: readFileSync(files.keyFile), allowHalfOpen: true, minVersion: "TLSv1.3" },
    (socket) => {
      let size = 0;
      socket.on("data", (chunk) => (size += chunk.length));
      socket.on("end", () => socket.end(`${size} bytes\n`));
    },
  );
  const port = await listenOn(server, scope);
  const listener = tlsListener(port, { caFile: authority.caFile });
  const serving = await startServing(protocolOf(listener), listener, { scope });
  assert.equal(await exchange(serving.port, "x".repeat(3_000_000)), "3000000 bytes\n");
  await eventually(() => serving.outcomes.length === 1, { withinMs: 1_000 });
  assert.deepEqual(serving.outcomes, [undefined]);
});

test("tlsProtocol() needs upstream.tls", () => {
  const listener: TlsListenerConfig = { ...listenerTo(1), protocol: "tls" };
  assert.throws(() => protocolOf(listener), { code: "CONFIG_INVALID" });
});

async function begin(t: TestContext): Promise<{ scope: Scope; authority: TestAuthority }> {
  const scope = new Scope();
  t.after(() => scope[Symbol.asyncDispose]());
  return { scope, authority: await makeAuthority(scope) };
}

function tlsListener(port: number, tls: Partial<UpstreamTlsConfig>, connectMs = 2_000): TlsListenerConfig {
  const common = listenerTo(port, tls);
  return { ...common, upstream: { ...common.upstream, connectMs }, protocol: "tls" };
}

function protocolOf(listener: TlsListenerConfig): ReturnType<typeof tlsProtocol> {
  return tlsProtocol(listener, { credentials: fileCredentials, log: silentLogger });
}

async function checkOf(listener: TlsListenerConfig): Promise<unknown> {
  return await protocolOf(listener).check?.(targetOf(listener), AbortSignal.timeout(listener.upstream.connectMs));
}

/** Longer than a TLS record's head: a client that waits for TLS sees that it is none. */
const greeting = "220 plain text here\n";

/** A server in plain text, which greets with a line or waits; then says what it hears. */
async function startPlainServer(scope: Scope, greets: boolean): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (greets) socket.write(greeting);
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      if (chunk[0] !== 0x16) socket.write(chunk); // a ClientHello is nothing to it
    });
    socket.on("end", () => socket.end());
  });
  return await listenOn(server, scope);
}
