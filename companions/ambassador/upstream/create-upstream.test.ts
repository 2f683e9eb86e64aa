import type { CancelSignal } from "../flow/cancel.ts";
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import test from "node:test";
import { createLogger } from "@peapod/kit";
import { AmbassadorError } from "../errors.ts";
import { ManualClock } from "./manual-clock.fixture.ts";
import { never, tcp, upstreamTest } from "./upstream.fixture.ts";
import type { Lease } from "./upstream.ts";

const [one, two, three] = [tcp("10.0.0.1"), tcp("10.0.0.2"), tcp("10.0.0.3")];

test("connect() takes the first endpoint, and the next one when it fails, before the caller hears of it", async () => {
  const { connect, codes, tried } = upstreamTest({ endpoints: [one, two] });
  assert.equal(await connect(), "10.0.0.1");
  codes.set("10.0.0.1", "UPSTREAM_BUSY");
  assert.equal(await connect(), "10.0.0.2");
  assert.deepEqual(tried, ["10.0.0.1", "10.0.0.1", "10.0.0.2"]);
});

test("connect() begins again after a pause with full jitter that doubles, and throws the last failure after all tries", async () => {
  const clock = new ManualClock();
  const sleeps: number[] = [];
  const sleep: ManualClock["sleep"] = (ms) => (sleeps.push(ms), Promise.resolve());
  const retry = { attempts: 7, backoffMs: 100, maxBackoffMs: 300 };
  const parts = { clock: { nowMs: () => clock.nowMs(), monotonicMs: () => clock.monotonicMs(), sleep }, random: () => 0.5 };
  const { connect, codes, tried } = upstreamTest({ endpoints: [one, two], retry }, parts);
  codes.set("10.0.0.1", "UPSTREAM_BUSY").set("10.0.0.2", "UPSTREAM_PROTOCOL");
  await assert.rejects(connect(), { code: "UPSTREAM_BUSY", message: "10.0.0.1:5432 said UPSTREAM_BUSY" });
  assert.equal(tried.length, 7);
  assert.deepEqual(sleeps, [50, 100, 150]);
});

test("connect() throws a refused login at once, and blames no endpoint for it", async () => {
  const { connect, codes, tried, upstream } = upstreamTest({ endpoints: [one, two], ejection: { failures: 1, forMs: 1_000 } });
  codes.set("10.0.0.1", "LOGIN_REFUSED");
  await assert.rejects(connect(), { code: "LOGIN_REFUSED" });
  assert.deepEqual(tried, ["10.0.0.1"]);
  assert.partialDeepStrictEqual(upstream.endpoints()[0], {
    failuresInARow: 0,
    ejectedUntilMs: undefined,
    lastFailure: { code: "LOGIN_REFUSED" },
  });
});

test("connect() passes on what is no failure of an upstream: a bug is not tried again", async () => {
  const { upstream } = upstreamTest({ endpoints: [one, two] });
  let tries = 0;
  const open = (): Promise<never> => {
    tries += 1;
    throw new TypeError("a bug");
  };
  await assert.rejects(upstream.connect(open, { signal: never }), TypeError);
  assert.equal(tries, 1);
  assert.deepEqual(
    upstream.endpoints().map(({ failuresInARow, connections }) => [failuresInARow, connections]),
    [
      [0, 0],
      [0, 0],
    ],
  );
});

test("connect() ends everything at once when its caller gives up, and leaves no listener on the signal", async () => {
  const { upstream } = upstreamTest({ endpoints: [one, two] });
  const control = new AbortController();
  let heard: unknown;
  const open = (_: unknown, signal: CancelSignal): Promise<never> =>
    new Promise(() => signal.addEventListener("abort", () => (heard = signal.reason), { once: true }));
  const connecting = upstream.connect(open, { signal: control.signal });
  assert.equal(upstream.endpoints()[0]?.connections, 1);
  const reason = new AmbassadorError("CLIENT_GONE", "The client went away");
  control.abort(reason);
  await assert.rejects(connecting, reason);
  assert.equal(heard, reason);
  assert.equal(getEventListeners(control.signal, "abort").length, 0);
  assert.partialDeepStrictEqual(upstream.endpoints()[0], { connections: 0, failuresInARow: 0 });
  await assert.rejects(upstream.connect(open, { signal: control.signal }), reason);
});

test("connect() ends the pause between two tries when its caller gives up", async () => {
  const clock = new ManualClock();
  const { connect, codes } = upstreamTest({ retry: { attempts: 3, backoffMs: 1_000, maxBackoffMs: 1_000 } }, { clock, random: () => 0.5 });
  codes.set("10.0.0.1", "UPSTREAM_BUSY");
  const control = new AbortController();
  const connecting = connect({ signal: control.signal });
  await clock.advance(499);
  control.abort(new Error("gone"));
  await assert.rejects(connecting, /gone/);
  assert.equal(clock.sleeping, 0);
});

test("a lease keeps its place until it is released, and least-connections counts it", async () => {
  const { upstream } = upstreamTest({ endpoints: [one, two], strategy: "least-connections" });
  const open = ({ endpoint }: { endpoint: string }): Promise<string> => Promise.resolve(endpoint);
  const leases = await Promise.all([1, 2, 3, 4].map(async () => await upstream.connect(open, { signal: never })));
  assert.deepEqual(leases.map(({ value }) => value).toSorted(), ["10.0.0.1:5432", "10.0.0.1:5432", "10.0.0.2:5432", "10.0.0.2:5432"]);
  for (const lease of leases.filter(({ value }) => value === "10.0.0.2:5432")) {
    lease[Symbol.dispose]();
    lease[Symbol.dispose](); // safe to repeat
  }
  assert.deepEqual(
    upstream.endpoints().map(({ connections }) => connections),
    [2, 0],
  );
  assert.equal((await upstream.connect(open, { signal: never })).value, "10.0.0.2:5432");
});

test("connect() leaves an ejected endpoint out for its time, but tries it when all are", async () => {
  const clock = new ManualClock();
  const lines: string[] = [];
  const log = createLogger({ level: "info", write: (line) => lines.push(line) });
  const config = { endpoints: [one, two], ejection: { failures: 2, forMs: 10_000 }, retry: { attempts: 2, backoffMs: 0, maxBackoffMs: 0 } };
  const { connect, codes, tried, upstream, events } = upstreamTest(config, { clock, log });
  codes.set("10.0.0.1", "UPSTREAM_UNREACHABLE");
  for (const _ of [1, 2, 3]) assert.equal(await connect(), "10.0.0.2");
  assert.deepEqual(tried, ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2", "10.0.0.2"]);
  assert.equal(upstream.endpoints()[0]?.ejectedUntilMs, clock.nowMs() + 10_000);
  codes.set("10.0.0.2", "UPSTREAM_UNREACHABLE").delete("10.0.0.1");
  assert.equal(await connect(), "10.0.0.1", "the last resort");
  assert.equal(upstream.endpoints()[0]?.ejectedUntilMs, undefined);
  assert.deepEqual(
    events.filter(({ kind }) => kind === "ejected"),
    [{ kind: "ejected", endpoint: "10.0.0.1:5432" }],
  );
  const messages = lines.map((line) => (JSON.parse(line) as { message: string }).message);
  assert.deepEqual(messages, ["endpoint is left out for its failures", "endpoint is taken back"]);
});

test("the circuit refuses at once after enough failures, lets one probe in, and closes with it", async () => {
  const clock = new ManualClock();
  const config = { circuitBreaker: { failures: 3, openMs: 5_000 }, retry: { attempts: 2, backoffMs: 0, maxBackoffMs: 0 } };
  const unhurried = { nowMs: () => clock.nowMs(), monotonicMs: () => clock.monotonicMs(), sleep: () => Promise.resolve() };
  const { connect, codes, tried, upstream, events } = upstreamTest(config, { clock: unhurried });
  codes.set("10.0.0.1", "UPSTREAM_BUSY");
  await assert.rejects(connect(), { code: "UPSTREAM_BUSY" });
  await assert.rejects(connect(), { code: "UPSTREAM_BUSY" }, "the third failure opens it: no second try");
  assert.equal(tried.length, 3);
  assert.equal(upstream.isAvailable(), false);
  await assert.rejects(connect(), { code: "NO_ENDPOINT", message: /too many failed: 10\.0\.0\.1:5432 said UPSTREAM_BUSY$/ });
  assert.equal(
    await connect({ only: "10.0.0.1:5432" }).catch(({ code }: AmbassadorError) => code),
    "UPSTREAM_BUSY",
    "a cancel request goes through",
  );
  await clock.advance(5_000);
  assert.equal(upstream.isAvailable(), true);
  codes.clear();
  const both = await Promise.allSettled([connect(), connect()]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ["fulfilled", "rejected"],
  );
  assert.equal(await connect(), "10.0.0.1");
  assert.deepEqual(
    events.flatMap((event) => (event.kind === "circuit" ? event.state : [])),
    ["open", "half-open", "closed"],
  );
});

test("a lease that is judged later counts by its verdict alone: the connections between two bad answers break no row", async () => {
  const clock = new ManualClock();
  const config = { endpoints: [one, two], ejection: { failures: 3, forMs: 10_000 } };
  const { upstream, events } = upstreamTest(config, { clock });
  const use = async (...outcomes: ("well" | AmbassadorError)[]): Promise<string> => {
    const open = ({ endpoint }: { endpoint: string }): Promise<string> => Promise.resolve(endpoint);
    using lease = await upstream.connect(open, { signal: never, isJudgedLater: true });
    for (const outcome of outcomes) lease.judge?.(outcome);
    return lease.value;
  };
  const failures = (): number | undefined => upstream.endpoints()[0]?.failuresInARow;
  const busy = new AmbassadorError("UPSTREAM_BUSY", "10.0.0.1:5432 answers 503");
  await use(busy);
  await use(busy, "well", busy); // the first word holds
  assert.equal(failures(), 2);
  await use();
  await use(new AmbassadorError("CLIENT_GONE", "The client went away"));
  assert.equal(failures(), 2, "what says nothing of the endpoint leaves the row as it is");
  await use("well");
  assert.equal(failures(), 0);
  for (const _ of [1, 2, 3]) assert.equal(await use(busy), "10.0.0.1:5432");
  assert.equal(await use("well"), "10.0.0.2:5432");
  assert.partialDeepStrictEqual(upstream.endpoints()[0], {
    ejectedUntilMs: clock.nowMs() + 10_000,
    lastFailure: { message: busy.message },
  });
  await clock.advance(10_000);
  assert.equal(await use(busy), "10.0.0.1:5432", "its time is over");
  assert.equal(await use("well"), "10.0.0.2:5432", "the next bad answer ejects it at once");
  assert.equal(events.filter(({ kind }) => kind === "ejected").length, 2);
});

test("the circuit opens for bad answers, and waits for the answer to its probe; one that is given up leaves its place to the next", async () => {
  const clock = new ManualClock();
  const { upstream } = upstreamTest({ circuitBreaker: { failures: 2, openMs: 5_000 } }, { clock });
  const open = (): Promise<number> => Promise.resolve(1);
  const connect = (): Promise<Lease<number>> => upstream.connect(open, { signal: never, isJudgedLater: true });
  const busy = new AmbassadorError("UPSTREAM_BUSY", "10.0.0.1:5432 answers 503");
  for (const _ of [1, 2]) {
    using lease = await connect();
    lease.judge?.(busy);
  }
  await assert.rejects(connect(), { code: "NO_ENDPOINT", message: /too many failed: 10\.0\.0\.1:5432 answers 503$/ });
  await clock.advance(5_000);
  const probe = await connect();
  await assert.rejects(connect(), { code: "NO_ENDPOINT" }, "a connection alone closes no circuit");
  probe[Symbol.dispose]();
  using next = await connect();
  next.judge?.("well");
  using last = await connect();
  assert.equal(last.value, 1);
});

test("connect() looks for the server of the wanted role among all, as one try, and goes straight there next time", async () => {
  const config = { endpoints: [one, two, three], target: "read-write" as const, retry: { attempts: 1, backoffMs: 0, maxBackoffMs: 0 } };
  const { connect, codes, tried, upstream } = upstreamTest(config);
  codes.set("10.0.0.1", "UPSTREAM_ROLE").set("10.0.0.2", "UPSTREAM_ROLE");
  assert.equal(await connect(), "10.0.0.3");
  assert.equal(await connect(), "10.0.0.3");
  assert.deepEqual(tried, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.3"]);
  assert.deepEqual(
    upstream.endpoints().map(({ role }) => role),
    ["read-only", "read-only", "read-write"],
  );
  codes.set("10.0.0.3", "UPSTREAM_ROLE").delete("10.0.0.1"); // a failover
  assert.equal(await connect(), "10.0.0.1");
  codes.set("10.0.0.1", "UPSTREAM_ROLE");
  await assert.rejects(connect(), { code: "UPSTREAM_ROLE" });
});

test("connect() with prefer-read-only asks for a replica first, and takes the primary when there is none", async () => {
  const { upstream } = upstreamTest({ endpoints: [one, two], target: "prefer-read-only" });
  const asked: unknown[] = [];
  const primaries = new Set(["10.0.0.1:5432", "10.0.0.2:5432"]);
  const open = ({ endpoint }: { endpoint: string }, _: unknown, wanted: string | undefined): Promise<string> => {
    asked.push([endpoint, wanted]);
    if (wanted === "read-only" && primaries.has(endpoint)) throw new AmbassadorError("UPSTREAM_ROLE", `${endpoint} is a primary`);
    return Promise.resolve(endpoint);
  };
  assert.equal((await upstream.connect(open, { signal: never })).value, "10.0.0.1:5432");
  assert.deepEqual(asked, [
    ["10.0.0.1:5432", "read-only"],
    ["10.0.0.2:5432", "read-only"],
    ["10.0.0.1:5432", undefined],
  ]);
  const refusing = (): Promise<never> => Promise.reject(new AmbassadorError("UPSTREAM_ROLE", "none will do"));
  await assert.rejects(upstream.connect(refusing, { signal: never }), { code: "UPSTREAM_ROLE" });
});

test("connect() goes to the one endpoint that `only` names, whatever its state, or says that there is none", async () => {
  const { connect, codes, tried } = upstreamTest({ endpoints: [one, two], ejection: { failures: 1, forMs: 60_000 } });
  codes.set("10.0.0.2", "UPSTREAM_BUSY");
  await assert.rejects(connect({ only: "10.0.0.2:5432" }), { code: "UPSTREAM_BUSY" });
  assert.deepEqual(tried, ["10.0.0.2", "10.0.0.2", "10.0.0.2"]);
  codes.clear();
  assert.equal(await connect({ only: "10.0.0.2:5432" }), "10.0.0.2");
  await assert.rejects(connect({ only: "10.9.9.9:1" }), { code: "NO_ENDPOINT", message: "10.9.9.9:1 is not an endpoint" });
});
