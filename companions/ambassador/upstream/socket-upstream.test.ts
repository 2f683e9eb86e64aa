import type { CancelSignal } from "../flow/cancel.ts";
import assert from "node:assert/strict";
import test from "node:test";
import { eventually, Scope, silentLogger, systemClock } from "@peapod/kit";
import type { UpstreamConfig } from "../config/config.ts";
import { AmbassadorError } from "../errors.ts";
import { formatAddress } from "../../frame/address.ts";
import { createUpstream } from "./create-upstream.ts";
import { configOf, listen, never, openWire, refusedPort } from "./upstream.fixture.ts";
import type { Target, Upstream } from "./upstream.ts";

function upstreamOf(config: Partial<UpstreamConfig>): Upstream {
  return createUpstream({ config: configOf(config), check: undefined, clock: systemClock, log: silentLogger });
}

test("connect() passes over a port that refuses, and says so when there is no other", async () => {
  await using scope = new Scope();
  const refused = await refusedPort();
  const good = await listen(scope);
  const lease = await upstreamOf({ endpoints: [refused, good] }).connect(openWire, { signal: never });
  assert.equal(lease.target.endpoint, formatAddress(good));
  lease.value.destroy();
  const alone = upstreamOf({ endpoints: [refused] });
  const place = formatAddress(refused);
  const message = `Cannot connect to ${place}: connect ECONNREFUSED ${place}`;
  await assert.rejects(alone.connect(openWire, { signal: never }), { code: "UPSTREAM_UNREACHABLE", message });
  assert.equal(alone.endpoints()[0]?.failuresInARow, 3);
});

test("connect() gives up on a server that never answers a login, ends that connection, and takes the next", async () => {
  await using scope = new Scope();
  let ended = 0;
  const silent = await listen(scope, (socket) => socket.resume().on("close", () => (ended += 1)));
  const good = await listen(scope, (socket) => socket.end("hello"));
  const upstream = upstreamOf({ endpoints: [silent, good], connectMs: 50 });
  const lease = await upstream.connect(
    async (target, signal) => {
      const wire = await openWire(target, signal, undefined);
      signal.addEventListener("abort", () => wire.destroy(), { once: true });
      const greeting = await wire.read(5);
      return { wire, greeting: greeting.toString() };
    },
    { signal: never },
  );
  assert.equal(lease.value.greeting, "hello");
  lease.value.wire.destroy();
  await eventually(() => ended === 1, { withinMs: 2_000 });
  const { lastFailure } = upstream.endpoints()[0] ?? {};
  assert.equal(lastFailure?.code, "UPSTREAM_TIMEOUT");
  assert.equal(lastFailure.message, `Connecting to ${formatAddress(silent)} took longer than 50 ms`);
});

test("connect() ends a connection that was made although its time was over", async () => {
  await using scope = new Scope();
  let ended = 0;
  const server = await listen(scope, (socket) => socket.resume().on("close", () => (ended += 1)));
  const upstream = upstreamOf({ endpoints: [server], retry: { attempts: 1, backoffMs: 0, maxBackoffMs: 0 }, connectMs: 30 });
  const release = Promise.withResolvers<void>();
  const deaf = upstream.connect(
    async (target) => {
      const wire = await openWire(target, never, undefined);
      await release.promise;
      return wire;
    },
    { signal: never },
  );
  await assert.rejects(deaf, { code: "UPSTREAM_TIMEOUT" });
  release.resolve();
  await eventually(() => ended === 1, { withinMs: 2_000 });
  assert.equal(upstream.endpoints()[0]?.connections, 0);
});

test("connect() resolves a name of the machine's own, whichever of its addresses listens", async () => {
  await using scope = new Scope();
  const server = await listen(scope);
  if (server.kind !== "tcp") throw new Error("Not a port");
  const lease = await upstreamOf({ endpoints: [{ ...server, host: "localhost" }] }).connect(openWire, { signal: never });
  assert.deepEqual([lease.target.endpoint, lease.target.host], [`localhost:${server.port}`, "localhost"]);
  assert.deepEqual(lease.target.address, server);
  lease.value.destroy();
});

test("run() finds with the check `connect` that a server went away, and that it came back", async () => {
  await using scope = new Scope();
  const first = scope.use(new Scope());
  const server = await listen(first);
  if (server.kind !== "tcp") throw new Error("Not a port");
  const healthCheck = {
    everyMs: 20,
    timeoutMs: 1_000,
    unhealthyAfter: 2,
    healthyAfter: 2,
    closeConnections: false,
    kind: "connect" as const,
    path: "/",
  };
  const upstream = upstreamOf({ endpoints: [server], healthCheck });
  const running = upstream.run(scope.signal);
  scope.defer(async () => await running);
  const health = (): string | undefined => upstream.endpoints()[0]?.health;
  await eventually(() => health() === "healthy", { withinMs: 2_000 });
  await first[Symbol.asyncDispose]();
  await eventually(() => health() === "unhealthy", { withinMs: 2_000 });
  assert.equal(upstream.isAvailable(), false);
  await assert.rejects(upstream.connect(openWire, { signal: never }), { code: "NO_ENDPOINT", message: /ECONNREFUSED|Cannot connect/ });
  await listen(scope, undefined, server.host, server.port);
  await eventually(() => health() === "healthy", { withinMs: 2_000 });
});

test("connect() takes a server that resets the connection for one that failed", async () => {
  await using scope = new Scope();
  const resetting = await listen(scope, (socket) => socket.resetAndDestroy());
  const upstream = upstreamOf({ endpoints: [resetting], ejection: { failures: 3, forMs: 60_000 } });
  const open = async (target: Target, signal: CancelSignal): Promise<never> => {
    const wire = await openWire(target, signal, undefined);
    await wire.read(1).catch((cause: unknown) => {
      throw new AmbassadorError("UPSTREAM_PROTOCOL", `${target.endpoint} ended the connection during the login`, { cause });
    });
    throw new Error("A byte of a server that sends none");
  };
  await assert.rejects(upstream.connect(open, { signal: never }), ({ message }: Error) => message.includes(formatAddress(resetting)));
  const [state] = upstream.endpoints();
  assert.deepEqual([state?.failuresInARow, state?.connections], [3, 0]);
  assert.ok((state?.ejectedUntilMs ?? 0) > systemClock.nowMs());
  assert.equal(upstream.isAvailable(), true, "the last one is tried all the same");
});

test("a health check that fails says why, as a connection does", async () => {
  const refused = await refusedPort();
  const healthCheck = {
    everyMs: 20,
    timeoutMs: 1_000,
    unhealthyAfter: 1,
    healthyAfter: 1,
    closeConnections: false,
    kind: "connect",
    path: "",
  } as const;
  const upstream = upstreamOf({ endpoints: [refused], healthCheck });
  const stop = new AbortController();
  const running = upstream.run(stop.signal);
  try {
    const failure = await eventually(() => upstream.endpoints()[0]?.lastFailure ?? false, { withinMs: 2_000 });
    const place = formatAddress(refused);
    assert.deepEqual(
      [failure.code, failure.message],
      ["UPSTREAM_UNREACHABLE", `Cannot connect to ${place}: connect ECONNREFUSED ${place}`],
    );
  } finally {
    stop.abort();
    await running.catch(() => {}); // the signal's reason
  }
});
