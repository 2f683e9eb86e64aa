import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import test from "node:test";
import { createLogger } from "@peapod/kit";
import { AmbassadorError, type ErrorCode } from "../errors.ts";
import { ManualClock } from "./manual-clock.fixture.ts";
import { never, tcp, upstreamTest } from "./upstream.fixture.ts";
import type { Check, Role, Target } from "./upstream.ts";

const name = tcp("db.test");
const healthCheck = {
  everyMs: 1_000,
  timeoutMs: 60_000,
  unhealthyAfter: 2,
  healthyAfter: 2,
  closeConnections: false,
  kind: "login" as const,
  path: "/",
};

test("connect() looks a name up with the first connection, then tries its addresses one after the other", async () => {
  const asked: string[] = [];
  const resolve = (host: string): Promise<string[]> => (asked.push(host), Promise.resolve(["10.1.0.1", "10.1.0.2"]));
  const { connect, codes, tried, upstream } = upstreamTest({ endpoints: [name] }, { resolve, clock: new ManualClock() });
  assert.deepEqual(upstream.endpoints()[0]?.addresses, []);
  codes.set("10.1.0.1", "UPSTREAM_BUSY");
  assert.equal(await connect(), "10.1.0.2");
  assert.equal(await connect(), "10.1.0.2", "the address that failed comes last for a while");
  assert.deepEqual(tried, ["10.1.0.1", "10.1.0.2", "10.1.0.2"]);
  assert.deepEqual(asked, ["db.test"]);
  assert.deepEqual(upstream.endpoints()[0]?.addresses, ["10.1.0.1:5432", "10.1.0.2:5432"]);
});

test("connect() says that a name cannot be resolved, counts it, and tries the next endpoint", async () => {
  const resolve = (): Promise<never> => Promise.reject(new Error("getaddrinfo ENOTFOUND db.test"));
  const alone = upstreamTest({ endpoints: [name], retry: { attempts: 1, backoffMs: 0, maxBackoffMs: 0 } }, { resolve });
  const message = "Cannot connect to db.test:5432: getaddrinfo ENOTFOUND db.test";
  await assert.rejects(alone.connect(), { code: "UPSTREAM_UNREACHABLE", message });
  assert.deepEqual(alone.events[0], { kind: "lookup-failed", endpoint: "db.test:5432" });
  const { connect } = upstreamTest({ endpoints: [name, tcp("10.0.0.9")] }, { resolve });
  assert.equal(await connect(), "10.0.0.9");
});

test("isAvailable() waits for the first time that a name is resolved, unless another endpoint may be tried", async () => {
  const clock = new ManualClock();
  let answer = Promise.withResolvers<string[]>();
  const parts = { resolve: () => answer.promise, clock, random: () => 0.5 };
  const config = { endpoints: [name], resolveEveryMs: 1_000 };
  const { upstream } = upstreamTest(config, parts);
  const unresolved = (): string | undefined => upstream.endpoints()[0]?.unresolved;
  assert.equal(upstreamTest({ ...config, endpoints: [name, tcp("10.0.0.9")] }, parts).upstream.isAvailable(), true);
  const stop = new AbortController();
  const running = upstream.run(stop.signal);
  await clock.advance(10_000);
  assert.deepEqual([upstream.isAvailable(), unresolved()], [false, "name is being looked up"]);
  const next = async (outcome: string[] | Error): Promise<void> => {
    const settled = answer;
    answer = Promise.withResolvers();
    if (outcome instanceof Error) settled.reject(outcome);
    else settled.resolve(outcome);
    await clock.advance(1_000);
  };
  await next(new Error("no server"));
  assert.deepEqual([upstream.isAvailable(), unresolved()], [false, "name cannot be resolved (no server)"]);
  await next(["10.1.0.1"]);
  assert.deepEqual([upstream.isAvailable(), unresolved()], [true, undefined]);
  await next(new Error("no server"));
  assert.deepEqual([upstream.isAvailable(), unresolved()], [true, undefined], "it keeps its addresses");
  stop.abort();
  await running;
});

test("a bad answer of one address of a name does not have the others come first, as a failed connection does", async () => {
  const resolve = (): Promise<string[]> => Promise.resolve(["10.1.0.1", "10.1.0.2"]);
  const { upstream } = upstreamTest({ endpoints: [name] }, { resolve, clock: new ManualClock() });
  for (const _ of [1, 2, 3]) {
    using lease = await upstream.connect((target) => Promise.resolve(target.address), { signal: never, isJudgedLater: true });
    assert.deepEqual(lease.value, tcp("10.1.0.1"));
    lease.judge?.(new AmbassadorError("UPSTREAM_BUSY", "db.test:5432 answers 503"));
  }
});

test("run() follows a name to other addresses, and keeps the last good ones when it cannot be resolved, and says so once", async () => {
  const clock = new ManualClock();
  const lines: string[] = [];
  const log = createLogger({ level: "info", write: (line) => lines.push((JSON.parse(line) as { message: string }).message) });
  let answer: string[] = ["10.1.0.1"];
  const resolve = (): Promise<string[]> => (answer.length === 0 ? Promise.reject(new Error("no server")) : Promise.resolve(answer));
  const { connect, upstream } = upstreamTest({ endpoints: [name], resolveEveryMs: 1_000 }, { resolve, clock, log, random: () => 0.5 });
  const stop = new AbortController();
  const running = upstream.run(stop.signal);
  await clock.advance(1);
  assert.equal(await connect(), "10.1.0.1");
  answer = [];
  await clock.advance(3_000);
  assert.equal(await connect(), "10.1.0.1");
  answer = ["10.1.0.7"];
  await clock.advance(1_000);
  assert.equal(await connect(), "10.1.0.7");
  stop.abort();
  await running;
  assert.equal(clock.sleeping, 0);
  assert.deepEqual(lines, ["name cannot be resolved", "name is resolved again"]);
});

test("an address that leaves the name keeps its leases, and a cancel request still reaches it", async () => {
  let answer = ["10.1.0.1"];
  const clock = new ManualClock();
  const { upstream, connect } = upstreamTest(
    { endpoints: [name], resolveEveryMs: 1_000 },
    { resolve: () => Promise.resolve(answer), clock },
  );
  const lease = await upstream.connect((target) => Promise.resolve(target), { signal: never });
  answer = ["10.1.0.2"];
  const stop = new AbortController();
  const running = upstream.run(stop.signal);
  await clock.advance(1);
  assert.equal(await connect(), "10.1.0.2");
  assert.equal(await connect({ only: lease.target }), "10.1.0.1");
  assert.partialDeepStrictEqual(upstream.endpoints()[0], { addresses: ["10.1.0.2:5432"], connections: 1 });
  lease[Symbol.dispose]();
  assert.equal(upstream.endpoints()[0]?.connections, 0);
  stop.abort();
  await running;
});

test("run() checks each endpoint at its interval, never twice at once, and only those that are well are used", async () => {
  const clock = new ManualClock();
  const down = new Map<string, ErrorCode>();
  const roles = new Map<string, Role>([["10.0.0.1:5432", "read-write"]]);
  const checking = new Map<string, number>();
  let most = 0;
  const check: Check = async ({ endpoint }: Target) => {
    checking.set(endpoint, (checking.get(endpoint) ?? 0) + 1);
    most = Math.max(most, ...checking.values());
    await turn();
    checking.set(endpoint, (checking.get(endpoint) ?? 0) - 1);
    const code = down.get(endpoint);
    if (code !== undefined) throw new AmbassadorError(code, `${endpoint} is down`);
    return roles.get(endpoint);
  };
  const endpoints = [tcp("10.0.0.1"), tcp("10.0.0.2")];
  const { connect, upstream, events } = upstreamTest({ endpoints, healthCheck }, { clock, check, random: () => 0.5 });
  const stop = new AbortController();
  const running = upstream.run(stop.signal);
  const pass = async (ms: number): Promise<void> => {
    await clock.advance(ms);
    await turn();
    await clock.advance(0);
  };
  await pass(1);
  assert.partialDeepStrictEqual(upstream.endpoints(), [{ health: "healthy", role: "read-write" }, { health: "healthy" }]);
  down.set("10.0.0.1:5432", "UPSTREAM_BUSY");
  await pass(1_000);
  assert.equal(await connect(), "10.0.0.1", "one that fails changes no verdict");
  await pass(1_000);
  assert.equal(await connect(), "10.0.0.2");
  down.set("10.0.0.2:5432", "UPSTREAM_BUSY");
  for (const _ of [1, 2]) await pass(1_000);
  assert.equal(upstream.isAvailable(), false);
  const message = "No endpoint is well: 10.0.0.1:5432 (10.0.0.1:5432 is down), 10.0.0.2:5432 (10.0.0.2:5432 is down)";
  await assert.rejects(connect(), { code: "NO_ENDPOINT", message });
  down.set("10.0.0.2:5432", "LOGIN_REFUSED");
  await pass(1_000);
  assert.equal(await connect(), "10.0.0.2", "new credentials may have come since");
  down.clear();
  for (const _ of [1, 2]) await pass(1_000);
  assert.equal(await connect(), "10.0.0.1");
  stop.abort();
  await running;
  assert.deepEqual([clock.sleeping, most], [0, 1]);
  const health = events.flatMap((event) => (event.kind === "health" ? `${event.endpoint} ${event.health}` : []));
  assert.deepEqual(health, [
    "10.0.0.1:5432 healthy",
    "10.0.0.2:5432 healthy",
    "10.0.0.1:5432 unhealthy",
    "10.0.0.2:5432 unhealthy",
    "10.0.0.1:5432 healthy",
    "10.0.0.2:5432 healthy",
  ]);
});
