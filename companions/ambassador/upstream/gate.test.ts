import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import test from "node:test";
import fc from "fast-check";
import type { LimitsConfig } from "../config/config.ts";
import { fullBucket, takeToken } from "./bucket.ts";
import { Gate } from "./gate.ts";
import { ManualClock } from "./manual-clock.fixture.ts";

const never = new AbortController().signal;
const base: LimitsConfig = { connections: 2, queue: { length: 2, timeoutMs: 100 }, rate: undefined };

test("takeToken() gives the burst at once, then as many a second, and never more than the burst after a pause", () => {
  const rate = { perSecond: 10, burst: 2 };
  let bucket = fullBucket(rate, 0);
  const take = (nowMs: number): boolean => {
    const left = takeToken(bucket, rate, nowMs);
    bucket = left ?? bucket;
    return left !== undefined;
  };
  assert.deepEqual([0, 0, 0, 99, 100, 150, 200].map(take), [true, true, false, false, true, false, true]);
  assert.deepEqual([60_000, 60_000, 60_000].map(take), [true, true, false]);
  assert.deepEqual([50_000, 60_099, 60_100].map(take), [false, false, true], "a clock set back takes nothing away");
});

test("Gate lets in up to the limit, has the next wait in line, and turns the rest away", async () => {
  const gate = new Gate(base, { clock: new ManualClock() });
  const first = gate.tryEnter();
  assert.ok(first !== undefined && gate.tryEnter() !== undefined);
  assert.equal(gate.tryEnter(), undefined);
  const order: string[] = [];
  const a = gate.enter(never).then(() => order.push("a"));
  const b = gate.enter(never).then((pass) => (order.push("b"), pass[Symbol.dispose]()));
  await assert.rejects(gate.enter(never), { code: "LIMIT_REACHED", message: /^2 connections are made/ });
  first[Symbol.dispose]();
  first[Symbol.dispose](); // safe to repeat
  await a;
  assert.deepEqual(order, ["a"]);
  assert.deepEqual([gate.inside, gate.queued, gate.counts], [2, 1, { entered: 3, limited: 1, rateLimited: 0 }]);
  gate.close();
  await assert.rejects(b, { code: "DRAINING" });
});

test("Gate turns away who waited too long, and takes who gives up out of the line", async () => {
  const clock = new ManualClock();
  const gate = new Gate({ ...base, connections: 1 }, { clock });
  const pass = await gate.enter(never);
  const late = assert.rejects(gate.enter(never), { code: "LIMIT_REACHED", message: "No connection became free within 100 ms" });
  await clock.advance(60);
  const leaving = new AbortController();
  const left = assert.rejects(gate.enter(leaving.signal), /had enough/);
  leaving.abort(new Error("had enough"));
  await left;
  const third = gate.enter(never);
  await clock.advance(40);
  await late;
  assert.equal(gate.queued, 1);
  await clock.advance(59);
  pass[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  await clock.advance(1_000);
  assert.deepEqual([gate.inside, gate.queued, clock.sleeping], [0, 0, 0]);
  await assert.rejects(gate.enter(leaving.signal), /had enough/);
});

test("Gate refuses what comes too fast, with places free or not", async () => {
  const clock = new ManualClock();
  const gate = new Gate({ ...base, rate: { perSecond: 1, burst: 1 } }, { clock });
  assert.ok(gate.tryEnter() !== undefined);
  assert.equal(gate.tryEnter(), undefined);
  await assert.rejects(gate.enter(never), { code: "RATE_LIMITED" });
  await clock.advance(1_000);
  assert.ok(await gate.enter(never));
  assert.deepEqual(gate.counts, { entered: 2, limited: 0, rateLimited: 1 });
});

test("Gate lets nobody in once closed, and those inside out", async () => {
  const gate = new Gate(base, { clock: new ManualClock() });
  const pass = gate.tryEnter();
  gate.close();
  gate.close();
  assert.equal(gate.tryEnter(), undefined);
  await assert.rejects(gate.enter(never), { code: "DRAINING" });
  pass?.[Symbol.dispose]();
  assert.equal(gate.inside, 0);
});

test("Gate made after another has its places, its line first, and forgets it once closed", async () => {
  const clock = new ManualClock();
  const before = new Gate({ ...base, connections: 1 }, { clock });
  const first = before.tryEnter();
  const order: string[] = [];
  const a = before.enter(never).then((pass) => (order.push("before"), pass[Symbol.dispose]()));
  const after = new Gate({ ...base, connections: 1 }, { clock, before });
  assert.deepEqual([after.inside, after.tryEnter()], [1, undefined]);
  const b = after.enter(never).then((pass) => (order.push("after"), pass));
  first?.[Symbol.dispose]();
  await a;
  before.close();
  const pass = await b;
  assert.deepEqual([order, after.inside], [["before", "after"], 1]);
  after.close();
  pass[Symbol.dispose]();
  assert.equal(before.inside, 0);
});

test("Gate made after another with fewer places lets those before it out first, and with more lets who waited in", async () => {
  const clock = new ManualClock();
  const before = new Gate({ ...base, connections: 2 }, { clock });
  const passes = [before.tryEnter(), before.tryEnter()];
  const waiting = before.enter(never);
  const fewer = new Gate({ ...base, connections: 1 }, { clock, before });
  passes[0]?.[Symbol.dispose]();
  assert.deepEqual([before.queued, fewer.tryEnter()], [1, undefined]);
  const more = new Gate({ ...base, connections: 3 }, { clock, before: fewer });
  await waiting;
  assert.deepEqual([more.inside, before.queued], [2, 0]);
  assert.ok(more.tryEnter() !== undefined && more.tryEnter() === undefined);
});

/** What a plain list says a gate with `connections` places and a queue of `length` does. */
interface Guest {
  state: "inside" | "waiting" | "out" | "refused";
  readonly untilMs: number;
  readonly give: AbortController;
  pass: Disposable | undefined;
  seen: "inside" | "waiting" | "refused";
}

const step = fc.oneof(
  fc.constant({ kind: "enter" as const }),
  fc.record({ kind: fc.constant("leave" as const), which: fc.nat(20) }),
  fc.record({ kind: fc.constant("give-up" as const), which: fc.nat(20) }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 120 }) }),
);

test("Gate never lets more in than it may, serves in order, and loses nobody, as a plain list says", async () => {
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: 3 }),
    fc.nat(3),
    fc.array(step, { maxLength: 25 }),
    async (connections, length, steps) => {
      const clock = new ManualClock();
      const gate = new Gate({ connections, queue: { length, timeoutMs: 100 }, rate: undefined }, { clock });
      const guests: Guest[] = [];
      const those = (state: Guest["state"]): Guest[] => guests.filter((guest) => guest.state === state);
      const serve = (): void => {
        const [next] = those("waiting");
        if (next !== undefined && those("inside").length < connections) next.state = "inside";
      };
      for (const action of steps) {
        if (action.kind === "enter") {
          const isFull = those("inside").length >= connections;
          const state = !isFull ? "inside" : those("waiting").length < length ? "waiting" : "refused";
          const guest: Guest = { state, untilMs: clock.monotonicMs() + 100, give: new AbortController(), pass: undefined, seen: "waiting" };
          guests.push(guest);
          gate.enter(guest.give.signal).then(
            (pass) => Object.assign(guest, { pass, seen: "inside" }),
            () => Object.assign(guest, { seen: "refused" }),
          );
        } else if (action.kind === "leave") {
          const inside = those("inside");
          const guest = inside[action.which % inside.length];
          guest?.pass?.[Symbol.dispose]();
          if (guest !== undefined) guest.state = "out";
          serve();
        } else if (action.kind === "give-up") {
          const guest = guests[action.which % guests.length];
          guest?.give.abort(new Error("gave up"));
          if (guest?.state === "waiting") guest.state = "refused";
        } else {
          await clock.advance(action.ms);
          for (const guest of those("waiting")) if (guest.untilMs <= clock.monotonicMs()) guest.state = "refused";
        }
        await turn();
        for (const guest of guests) if (guest.state !== "out") assert.equal(guest.seen, guest.state);
        assert.equal(gate.inside, those("inside").length);
        assert.equal(gate.queued, those("waiting").length);
        assert.ok(gate.inside <= connections && gate.queued <= length);
      }
      gate.close();
      await turn();
      assert.equal(clock.sleeping, 0);
    },
  );
  await fc.assert(property, { numRuns: 150 });
});
