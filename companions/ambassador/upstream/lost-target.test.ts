import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import test from "node:test";
import type { UpstreamConfig } from "../config/config.ts";
import { AmbassadorError, type ErrorCode } from "../errors.ts";
import { ManualClock } from "./manual-clock.fixture.ts";
import { never, tcp, upstreamTest } from "./upstream.fixture.ts";
import type { Check, Lease, Role, Target } from "./upstream.ts";

const healthCheck = {
  everyMs: 1_000,
  timeoutMs: 60_000,
  unhealthyAfter: 2,
  healthyAfter: 2,
  closeConnections: true,
  kind: "login",
  path: "/",
} as const;

/** An upstream whose checks say what is in two tables, by IP address; `pass` lets the time go on, and gives the addresses that were lost meanwhile. */
function checkedUpstream(config: Partial<UpstreamConfig>, resolve?: () => Promise<string[]>) {
  const clock = new ManualClock();
  const down = new Map<string, ErrorCode>();
  const roles = new Map<string, Role>();
  const checked: string[] = [];
  const check: Check = ({ address }) => {
    const host = address.kind === "tcp" ? address.host : address.path;
    checked.push(host);
    const code = down.get(host);
    return code === undefined ? Promise.resolve(roles.get(host)) : Promise.reject(new AmbassadorError(code, `${host} is down`));
  };
  const parts = { clock, check, random: () => 0.5, ...(resolve !== undefined && { resolve }) };
  const { upstream, events } = upstreamTest({ healthCheck, ...config }, parts);
  const stop = new AbortController();
  const running = upstream.run(stop.signal);
  return {
    down,
    roles,
    checked,
    lease: async (): Promise<Lease<Target>> => await upstream.connect((target) => Promise.resolve(target), { signal: never }),
    pass: async (ms: number): Promise<(string | undefined)[]> => {
      const before = events.length;
      await clock.advance(ms);
      await turn();
      await clock.advance(0);
      const lost = events.slice(before).flatMap((event) => (event.kind === "lost" ? event.target.address : []));
      return lost.map((address) => (address.kind === "tcp" ? address.host : undefined));
    },
    [Symbol.asyncDispose]: async (): Promise<void> => {
      stop.abort();
      await running;
      assert.equal(clock.sleeping, 0);
    },
  };
}

test("run() tells which address was lost, with each check that says so, and no other of the same name", async () => {
  const two = checkedUpstream({ endpoints: [tcp("db.test")] }, () => Promise.resolve(["10.1.0.1", "10.1.0.2"]));
  await using _ = two;
  assert.deepEqual(await two.pass(1), []);
  two.down.set("10.1.0.2", "UPSTREAM_TIMEOUT");
  assert.deepEqual(await two.pass(1_000), [], "one that fails changes no verdict");
  assert.deepEqual(await two.pass(1_000), ["10.1.0.2"]);
  assert.deepEqual(await two.pass(1_000), ["10.1.0.2"]);
  two.down.clear();
  assert.deepEqual(await two.pass(3_000), []);
});

test("run() loses no address for credentials that are refused, nor where connections are not to be closed", async () => {
  await using refusing = checkedUpstream({});
  await using off = checkedUpstream({ healthCheck: { ...healthCheck, closeConnections: false } });
  refusing.down.set("10.0.0.1", "LOGIN_REFUSED");
  off.down.set("10.0.0.1", "UPSTREAM_TIMEOUT");
  assert.deepEqual(await refusing.pass(5_000), []);
  assert.deepEqual(await off.pass(5_000), []);
});

test("run() loses an address with the check that finds it in another role than is needed", async () => {
  await using one = checkedUpstream({ target: "read-write" });
  one.roles.set("10.0.0.1", "read-write");
  assert.deepEqual(await one.pass(1), []);
  one.roles.set("10.0.0.1", "read-only");
  assert.deepEqual(await one.pass(1_000), ["10.0.0.1"]);
});

test("run() names the target of the leases, and goes on to check an address that its name has left while it has some", async () => {
  let answer = ["10.1.0.1"];
  const moved = checkedUpstream({ endpoints: [tcp("db.test")], resolveEveryMs: 1_000 }, () => Promise.resolve(answer));
  await using _ = moved;
  await moved.pass(1);
  const lease = await moved.lease();
  answer = ["10.1.0.2"];
  await moved.pass(1_000);
  moved.down.set("10.1.0.1", "UPSTREAM_TIMEOUT");
  assert.deepEqual(await moved.pass(2_000), ["10.1.0.1"]);
  lease[Symbol.dispose]();
  await moved.pass(2_000);
  moved.checked.length = 0;
  await moved.pass(3_000);
  assert.deepEqual(new Set(moved.checked), new Set(["10.1.0.2"]));
});
