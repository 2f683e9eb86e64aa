import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { eventually, type Scope } from "@peapod/kit";
import { scopeOf } from "../../frame/test-scope.fixture.ts";
import { ask, type RunningAmbassador, startAmbassador, statusOf } from "./program.fixture.ts";

const WITHIN = { withinMs: 5_000 };

/** What a server answers to each request, with its name as the body; "none": it ends the connection; "never": it keeps silent. */
interface Backend {
  readonly port: number;
  status: number | "none" | "never";
  requests: number;
  connections: number;
}

async function startBackend(scope: Scope, name: string, options: { readonly keepsConnections: boolean }): Promise<Backend> {
  const backend = { port: 0, status: 200 as Backend["status"], requests: 0, connections: 0 };
  const server: Server = createServer((incoming, response) => {
    backend.requests += 1;
    if (backend.status === "never") return;
    if (backend.status === "none") return void incoming.socket.destroy();
    response.shouldKeepAlive = options.keepsConnections;
    response.writeHead(backend.status, { "X-From": name, "Retry-After": "7" }).end(name);
  });
  server.on("connection", () => (backend.connections += 1));
  scope.defer(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return Object.assign(backend, { port: (server.address() as AddressInfo).port }); // a TCP server's address is one
}

function web(backends: readonly Backend[], upstream: Record<string, unknown>): Record<string, unknown> {
  const endpoints = backends.map(({ port }) => `127.0.0.1:${port}`);
  return { name: "web", protocol: "http", listen: "127.0.0.1:0", upstream: { endpoints, healthCheck: "off", ...upstream } };
}

const endpointsOf = async (ambassador: RunningAmbassador) => (await statusOf(ambassador)).listeners[0]?.endpoints ?? [];

for (const keepsConnections of [true, false]) {
  const how = keepsConnections ? "on a connection that is kept" : "on a fresh connection each";
  test(`an http endpoint is left out after 502, 503 and 504 in a row, ${how}; each answer goes to the client as it is`, async (t) => {
    const scope = scopeOf(t);
    const [bad, good] = await Promise.all(["bad", "good"].map((name) => startBackend(scope, name, { keepsConnections })));
    assert.ok(bad !== undefined && good !== undefined);
    const ambassador = await startAmbassador(scope, { listeners: [web([bad, good], { ejection: { failures: 4, duration: "1h" } })] });
    const get = (): Promise<{ status: number; body: string }> => ask(ambassador.port("web"), "/");
    const say = async (status: Backend["status"]): Promise<void> => {
      bad.status = status;
      assert.deepEqual(await get(), { status, body: "bad" });
    };
    for (const status of [503, 503, 503, 500, 502, 503, 404, 502, 503, 504]) await say(status); // no four in a row
    assert.partialDeepStrictEqual((await endpointsOf(ambassador))[0], { failuresInARow: 3 });
    await say(503);
    assert.equal(bad.requests, 11, "nothing is asked twice");
    assert.deepEqual([good.requests, bad.connections], [0, keepsConnections ? 1 : 11]);
    assert.deepEqual(await get(), { status: 200, body: "good" });
    const [left] = await endpointsOf(ambassador);
    assert.ok((left?.ejectedUntilMs ?? 0) > Date.now());
    assert.equal(left?.lastFailure?.message, `127.0.0.1:${bad.port} answers 503`);
    const line = ambassador.lines.find(({ message }) => message === "endpoint is left out for its failures");
    assert.equal(line?.["reason"], `127.0.0.1:${bad.port} answers 503`);
  });
}

test("an http endpoint that takes requests and ends without an answer is left out too, and one alone is asked on", async (t) => {
  const scope = scopeOf(t);
  const backend = await startBackend(scope, "only", { keepsConnections: true });
  const ambassador = await startAmbassador(scope, { listeners: [web([backend], { ejection: { failures: 2, duration: "1h" } })] });
  backend.status = "none";
  for (const _ of [1, 2, 3]) assert.equal((await ask(ambassador.port("web"), "/")).status, 502);
  assert.partialDeepStrictEqual((await endpointsOf(ambassador))[0], { failuresInARow: 3, lastFailure: { code: "UPSTREAM_PROTOCOL" } });
  assert.equal((await ask(ambassador.admin, "/readyz?upstream=reachable")).status, 200);
  assert.partialDeepStrictEqual((await endpointsOf(ambassador))[0], { failuresInARow: 3 }, "that it listens is no answer");
  backend.status = 200;
  assert.equal((await ask(ambassador.port("web"), "/")).status, 200);
  const [state] = await endpointsOf(ambassador);
  assert.deepEqual([state?.failuresInARow, state?.ejectedUntilMs], [0, undefined]);
});

test("a client that goes away before the answer says nothing of the endpoint", async (t) => {
  const scope = scopeOf(t);
  const backend = await startBackend(scope, "only", { keepsConnections: true });
  const ambassador = await startAmbassador(scope, { listeners: [web([backend], { ejection: { failures: 9, duration: "1h" } })] });
  backend.status = 503;
  await ask(ambassador.port("web"), "/");
  backend.status = "never";
  const asking = request({ host: "127.0.0.1", port: ambassador.port("web"), agent: false }).on("error", () => {}); // it is ours
  asking.end();
  await eventually(() => backend.requests === 2, WITHIN);
  asking.destroy();
  await eventually(async () => (await endpointsOf(ambassador))[0]?.connections === 0, WITHIN);
  assert.partialDeepStrictEqual((await endpointsOf(ambassador))[0], { failuresInARow: 1, lastFailure: { code: "UPSTREAM_BUSY" } });
});

test("each request on a client's connection counts for the circuit, by its answer", async (t) => {
  const scope = scopeOf(t);
  const backend = await startBackend(scope, "only", { keepsConnections: true });
  const ambassador = await startAmbassador(scope, { listeners: [web([backend], { circuitBreaker: { failures: 3, duration: "1h" } })] });
  backend.status = 503;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  scope.defer(() => agent.destroy());
  const bodies: string[] = [];
  for (const _ of [1, 2, 3, 4]) {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    request({ host: "127.0.0.1", port: ambassador.port("web"), agent }, resolve)
      .on("error", reject)
      .end();
    const answer = await promise;
    assert.equal(answer.statusCode, 503);
    bodies.push((await answer.setEncoding("utf8").toArray()).join(""));
  }
  assert.deepEqual(bodies.slice(0, 3), ["only", "only", "only"]);
  assert.match(bodies[3] ?? "", /"code":"NO_ENDPOINT"/);
  assert.deepEqual([backend.requests, backend.connections], [3, 1]);
});
