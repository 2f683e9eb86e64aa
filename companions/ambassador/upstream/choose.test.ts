import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { type Candidate, choose, type ChoiceContext, rank } from "./choose.ts";
import { type Standing, unknownStanding } from "./standing.ts";

const nowMs = 100_000;
const base: ChoiceContext<Candidate> = { strategy: "first-available", target: "any", nowMs, after: -1, tried: undefined, random: () => 0 };

function at(endpoint: string, standing: Partial<Standing> = {}, connections = 0): Candidate {
  return { endpoint, standing: { ...unknownStanding, ...standing }, connections };
}

const ejected: Partial<Standing> = { ejectedUntilMs: nowMs + 1, failuresInARow: 3 };
const down: Partial<Standing> = { health: "unhealthy" };
const refusing: Partial<Standing> = { health: "unhealthy", isRefusing: true };
const primary: Partial<Standing> = { role: "read-write", roleUntilMs: Infinity };
const replica: Partial<Standing> = { role: "read-only", roleUntilMs: Infinity };
const failedAt = (atMs: number): Partial<Standing> => ({
  failuresInARow: 1,
  lastFailure: { code: "UPSTREAM_UNREACHABLE", message: "", atMs },
});

const cases: { does: string; candidates: Candidate[]; context?: Partial<typeof base>; tried?: number; want: number | undefined }[] = [
  { does: "takes the first of all that are well", candidates: [at("a"), at("b")], want: 0 },
  { does: "takes none where there is none", candidates: [], want: undefined },
  { does: "passes over what is unhealthy", candidates: [at("a", down), at("b")], want: 1 },
  { does: "takes none when all are unhealthy", candidates: [at("a", down), at("b", down)], want: undefined },
  { does: "passes over what is ejected", candidates: [at("a", ejected), at("b")], want: 1 },
  { does: "takes what was ejected once its time is over", candidates: [at("a", { ejectedUntilMs: nowMs }), at("b")], want: 0 },
  { does: "takes what is ejected when nothing else is left", candidates: [at("a", ejected), at("b", down)], want: 0 },
  { does: "takes what only refused the credentials when nothing else is left", candidates: [at("a", down), at("b", refusing)], want: 1 },
  { does: "passes over what failed this connection", candidates: [at("a"), at("b")], tried: 0, want: 1 },
  {
    does: "takes the primary for read-write",
    candidates: [at("a", replica), at("b", primary)],
    context: { target: "read-write" },
    want: 1,
  },
  { does: "takes who may be the primary", candidates: [at("a", replica), at("b")], context: { target: "read-write" }, want: 1 },
  {
    does: "takes an ejected primary before a replica for read-write",
    candidates: [at("a", replica), at("b", { ...primary, ...ejected })],
    context: { target: "read-write" },
    want: 1,
  },
  {
    does: "asks the wrong role at the very end, as it may have changed",
    candidates: [at("a", replica), at("b", { ...primary, ...down })],
    context: { target: "read-write" },
    want: 0,
  },
  {
    does: "prefers a replica for prefer-read-only",
    candidates: [at("a", primary), at("b", replica)],
    context: { target: "prefer-read-only" },
    want: 1,
  },
  {
    does: "takes a primary that is well before an ejected replica for prefer-read-only",
    candidates: [at("a", { ...replica, ...ejected }), at("b", primary)],
    context: { target: "prefer-read-only" },
    want: 1,
  },
  { does: "takes another address of the same name after a failure", candidates: [at("a", failedAt(nowMs - 29_999)), at("a")], want: 1 },
  { does: "forgets that failure after a while", candidates: [at("a", failedAt(nowMs - 30_000)), at("a")], want: 0 },
  { does: "does not leave the first endpoint for one failure", candidates: [at("a", failedAt(nowMs)), at("b")], want: 0 },
  {
    does: "goes on after the one before in turn",
    candidates: [at("a"), at("b"), at("c")],
    context: { strategy: "round-robin", after: 0 },
    want: 1,
  },
  { does: "begins again after the last in turn", candidates: [at("a"), at("b")], context: { strategy: "round-robin", after: 1 }, want: 0 },
  {
    does: "takes the one with the fewest connections",
    candidates: [at("a", {}, 5), at("b", {}, 2), at("c", {}, 3)],
    context: { strategy: "least-connections" },
    want: 1,
  },
  {
    does: "takes turns among those with equally few",
    candidates: [at("a", {}, 2), at("b", {}, 5), at("c", {}, 2)],
    context: { strategy: "least-connections", after: 0 },
    want: 2,
  },
  {
    does: "takes the idler of two at random",
    candidates: [at("a", {}, 9), at("b", {}, 1), at("c")],
    context: { strategy: "random-of-two" },
    want: 1,
  },
];
for (const { does, candidates, context, tried, want } of cases) {
  test(`choose() ${does}`, () => {
    const failed = tried === undefined ? undefined : new Set(candidates.slice(tried, tried + 1));
    assert.equal(choose(candidates, { ...base, ...context, tried: failed }), want);
  });
}

const candidate = fc.record<Candidate>({
  endpoint: fc.constantFrom("a", "b", "c"),
  connections: fc.nat(5),
  standing: fc.record<Standing>({
    health: fc.constantFrom("healthy", "unhealthy", "unknown"),
    isRefusing: fc.boolean(),
    dissent: fc.constant(0),
    downInARow: fc.constant(0),
    role: fc.constantFrom("read-write", "read-only", undefined),
    roleUntilMs: fc.constantFrom(0, Infinity),
    failuresInARow: fc.nat(2),
    hasFailedInUse: fc.boolean(),
    ejectedUntilMs: fc.constantFrom(undefined, nowMs - 1, nowMs + 1),
    lastFailure: fc.constantFrom(undefined, { code: "UPSTREAM_BUSY" as const, message: "", atMs: nowMs - 1 }),
  }),
});
const context = fc.record({
  strategy: fc.constantFrom(...(["first-available", "round-robin", "least-connections", "random-of-two"] as const)),
  target: fc.constantFrom(...(["any", "read-write", "read-only", "prefer-read-only"] as const)),
  after: fc.integer({ min: -1, max: 6 }),
  dice: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});

test("choose() takes one of the best rank whenever there is one, and goes through all that may be tried, once each", () => {
  const property = fc.property(fc.array(candidate, { maxLength: 6 }), context, (candidates, { dice, ...rest }) => {
    const tried = new Set<Candidate>();
    const ranks: number[] = [];
    for (;;) {
      const index = choose(candidates, { ...base, ...rest, tried, random: () => dice });
      const left = candidates.filter((one) => !tried.has(one)).map(({ standing }) => rank(standing, rest.target, nowMs));
      const possible = left.filter((one) => one !== undefined);
      if (index === undefined) return assert.deepEqual(possible, []);
      const chosen = candidates[index];
      assert.ok(chosen !== undefined && !tried.has(chosen));
      assert.equal(rank(chosen.standing, rest.target, nowMs), Math.min(...possible));
      ranks.push(Math.min(...possible));
      tried.add(chosen);
      assert.deepEqual(
        ranks,
        ranks.toSorted((a, b) => a - b),
      );
    }
  });
  fc.assert(property, { numRuns: 300 });
});

test("choose() in turn takes each of those that are well equally often", () => {
  const property = fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 6 }), (wells) => {
    const candidates = wells.map((isWell, index) => at(`${index}`, isWell ? {} : down));
    const counts = wells.map(() => 0);
    let after = -1;
    for (let turn = 0; turn < 12 * wells.length; turn++) {
      const index = choose(candidates, { ...base, strategy: "round-robin", after });
      if (index === undefined) return assert.ok(!wells.includes(true));
      counts[index] = (counts[index] ?? 0) + 1;
      after = index;
    }
    const used = counts.filter((_, index) => wells[index]);
    assert.ok(Math.max(...used) - Math.min(...used) <= 1);
    assert.equal(Math.max(0, ...counts.filter((_, index) => wells[index] === false)), 0);
  });
  fc.assert(property, { numRuns: 100 });
});
