import { credentialsFrom } from "../../credentials/credentials.ts";
import type { OAuth2Config } from "./fetch-token.ts";
import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";
import { eventually, Scope, silentLogger } from "@peapod/kit";
import { credentialsTest } from "../../../frame/credentials/credentials.fixture.ts";
import { fileCredentials } from "../tls/serving.fixture.ts";
import { exchangeBytes, httpListener, httpUpstream, serveHttp } from "./http.fixture.ts";
import { makeInjection } from "./injection.ts";
import { TokenSource } from "./token-source.ts";

const asking = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic wrong\r\nX-Key: wrong\r\nConnection: close\r\n\r\n";
const value = (text: string) => ({ kind: "value", value: text }) as const;

test("httpProtocol puts Basic, Bearer, an API key and configured fields in place of the application's, as the files are now", async () => {
  await using files = credentialsTest();
  const { scope } = files;
  const credentials = credentialsFrom(files.credentials);
  const path = files.write("password", "geheim\n");
  const file = { kind: "file", path } as const;
  const upstream = await httpUpstream(scope, (incoming, response) =>
    response.end(JSON.stringify([incoming.headers.authorization ?? "", incoming.headers["x-key"] ?? ""])),
  );
  const answerWith = async (options: Parameters<typeof httpListener>[1]): Promise<unknown> => {
    const { port } = await serveHttp(scope, httpListener(upstream.port, options), { credentials });
    const got = await exchangeBytes(port, asking);
    return JSON.parse(got.slice(got.indexOf("\r\n\r\n")));
  };
  const basic = (password: string): string => `Basic ${Buffer.from(`ü:${password}`).toString("base64")}`;
  assert.deepEqual(await answerWith({ auth: { kind: "basic", username: value("ü"), password: file } }), [basic("geheim"), "wrong"]);
  assert.deepEqual(await answerWith({ auth: { kind: "bearer", token: file } }), ["Bearer geheim", "wrong"]);
  assert.deepEqual(await answerWith({ auth: { kind: "api-key", header: "X-Key", key: file } }), ["", "geheim"]);
  assert.deepEqual(await answerWith({ headers: [{ name: "x-key", value: file }] }), ["Basic wrong", "geheim"]);
  files.write("password", "another");
  assert.deepEqual(await answerWith({ auth: { kind: "bearer", token: file } }), ["Bearer another", "wrong"]);
});

test("httpProtocol sends no request whose credential would end its line, and does not tell the credential", async () => {
  await using scope = new Scope();
  let asked = 0;
  const upstream = await httpUpstream(scope, (_incoming, response) => response.end(`${++asked}`));
  for (const auth of [
    { kind: "bearer", token: value("secret\r\nX-Evil: 1") },
    { kind: "api-key", header: "X-Key", key: value("secret\n") },
    { kind: "basic", username: value("a:b"), password: value("secret") },
  ] as const) {
    const { port } = await serveHttp(scope, httpListener(upstream.port, { auth }));
    const got = await exchangeBytes(port, asking);
    assert.match(got, /^HTTP\/1.1 503 [^]*"code":"CREDENTIAL_MISSING"/);
    assert.doesNotMatch(got, /secret|Evil/);
  }
  assert.equal(asked, 0);
});

test("makeInjection() takes no field that frames or routes a message", () => {
  for (const name of ["Content-Length", "host", "Connection", "a b", ""])
    assert.throws(
      () => makeInjection({ name: "x", headers: [{ name, value: value("1") }], auth: undefined }, fileCredentials, { log: silentLogger }),
      { code: "CONFIG_INVALID" },
    );
});

/** A token's server: counts, and answers as it is told. */
async function tokenServer(scope: Scope) {
  const state = {
    asked: [] as { form: string; authorization: string | undefined }[],
    life: 3600 as number | undefined,
    status: 200,
    isRedirecting: false,
  };
  const bodyOf = async (incoming: IncomingMessage): Promise<string> => {
    let body = "";
    for await (const chunk of incoming) body += String(chunk);
    return body;
  };
  const server = await httpUpstream(scope, (incoming, response) => {
    void bodyOf(incoming).then((form) => {
      state.asked.push({ form, authorization: incoming.headers.authorization });
      const token = { access_token: `token-${state.asked.length}`, token_type: "Bearer", expires_in: state.life };
      if (state.isRedirecting) response.writeHead(302, { Location: "http://127.0.0.1:1/" }).end();
      else if (state.status === 200) response.setHeader("Content-Type", "application/json").end(JSON.stringify(token));
      else response.writeHead(state.status).end(JSON.stringify({ error: "invalid_client", error_description: "s3cret" }));
    });
  });
  const config: OAuth2Config = {
    kind: "oauth2-client-credentials",
    tokenUrl: `http://127.0.0.1:${server.port}/token`,
    clientId: value("my id"),
    clientSecret: value("p+ss"),
    scopes: ["a", "b"],
    audience: "api",
    refreshBeforeMs: 60_000,
    tls: undefined,
  };
  return { state, config };
}

test("TokenSource asks once for all who wait, with the client's name and secret in Basic", async () => {
  await using files = credentialsTest();
  const { state, config } = await tokenServer(files.scope);
  const source = new TokenSource(config, credentialsFrom(files.credentials), { log: silentLogger });
  const tokens = await Promise.all(Array.from({ length: 20 }, async () => await source.token(new AbortController().signal)));
  assert.deepEqual(new Set(tokens.map(({ text }) => text)), new Set(["token-1"]));
  const authorization = `Basic ${Buffer.from("my+id:p%2Bss").toString("base64")}`;
  assert.deepEqual(state.asked, [{ form: "grant_type=client_credentials&scope=a+b&audience=api", authorization }]);
});

test("TokenSource renews in the second half of a token's life while the old one is good, and not after it", async () => {
  await using files = credentialsTest();
  const { state, config } = await tokenServer(files.scope);
  state.life = 60;
  let nowMs = 0;
  const source = new TokenSource(config, credentialsFrom(files.credentials), { log: silentLogger, clock: { monotonicMs: () => nowMs } });
  const { signal } = new AbortController();
  const next = async (atMs: number): Promise<string> => ((nowMs = atMs), (await source.token(signal)).text);
  assert.deepEqual([await next(0), await next(29_999)], ["token-1", "token-1"]);
  assert.equal(await next(30_000), "token-1");
  await eventually(async () => (await next(30_000)) === "token-2", { withinMs: 2_000 });
  assert.equal(state.asked.length, 2);
  assert.equal(await next(90_001), "token-3");
  assert.equal(source.refused(await source.token(signal)), false);
  nowMs += 1_000;
  assert.equal(source.refused(await source.token(signal)), true);
  assert.equal(await next(nowMs), "token-4");
});

test("TokenSource leaves a server that fails alone for a while, and takes a changed secret at once", async () => {
  await using files = credentialsTest();
  const { state, config } = await tokenServer(files.scope);
  const path = files.write("secret", "old");
  let nowMs = 0;
  const parts = { log: silentLogger, clock: { monotonicMs: () => nowMs } };
  const source = new TokenSource({ ...config, clientSecret: { kind: "file", path } }, credentialsFrom(files.credentials), parts);
  const { signal } = new AbortController();
  state.status = 401;
  for (let count = 0; count < 3; count++)
    await assert.rejects(source.token(signal), { code: "LOGIN_REFUSED", message: /401 \(invalid_client\)$/ });
  assert.equal(state.asked.length, 1);
  nowMs = 500;
  await assert.rejects(source.token(signal), { code: "LOGIN_REFUSED" });
  assert.equal(state.asked.length, 2);
  state.status = 200;
  files.write("secret", "new");
  assert.equal((await source.token(signal)).text, "token-3");
  state.isRedirecting = true;
  files.write("secret", "newer");
  await assert.rejects(source.token(signal), { code: "UPSTREAM_PROTOCOL" });
});

test("httpProtocol renews an aged token that the upstream refuses, once, and tells when none is to be had", async () => {
  await using files = credentialsTest();
  const { state, config } = await tokenServer(files.scope);
  const upstream = await httpUpstream(files.scope, (incoming, response) =>
    response.writeHead(incoming.headers.authorization === "Bearer token-2" ? 200 : 401).end(incoming.headers.authorization),
  );
  const { port } = await serveHttp(files.scope, httpListener(upstream.port, { auth: config }), {
    credentials: credentialsFrom(files.credentials),
  });
  assert.match(await exchangeBytes(port, asking), /^HTTP\/1.1 401 [^]*Bearer token-1\r\n/);
  await eventually(async () => assert.match(await exchangeBytes(port, asking), /^HTTP\/1.1 200 [^]*Bearer token-2\r\n/), {
    withinMs: 3_000,
    everyMs: 100,
  });
  assert.equal(state.asked.length, 2);
  state.status = 500;
  const other = await serveHttp(files.scope, httpListener(upstream.port, { auth: config }), {
    credentials: credentialsFrom(files.credentials),
  });
  assert.match(await exchangeBytes(other.port, asking), /^HTTP\/1.1 502 [^]*"code":"UPSTREAM_PROTOCOL"[^]*answers 500/);
});
