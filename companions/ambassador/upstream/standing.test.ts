import assert from "node:assert/strict";
import test from "node:test";
import type { UpstreamConfig } from "../config/config.ts";
import type { ErrorCode } from "../errors.ts";
import { afterCheck, afterFailure, afterSuccess, type CheckOutcome, isLost, roleOf, type Standing, unknownStanding } from "./standing.ts";
import type { Role } from "./upstream.ts";

const nowMs = 50_000;
const ejection = { failures: 2, forMs: 10_000 };
const thresholds = { healthyAfter: 2, unhealthyAfter: 3 };
const failureOf = (code: ErrorCode): NonNullable<Standing["lastFailure"]> => ({ code, message: `it was ${code}`, atMs: nowMs });

const failures: { does: string; given?: Partial<Standing>; code: ErrorCode; wanted?: Role; without?: true; want: Partial<Standing> }[] = [
  { does: "counts a failure", code: "UPSTREAM_UNREACHABLE", want: { failuresInARow: 1 } },
  {
    does: "ejects at the configured number",
    given: { failuresInARow: 1 },
    code: "UPSTREAM_TIMEOUT",
    want: { failuresInARow: 2, ejectedUntilMs: 60_000 },
  },
  {
    does: "ejects nothing where it is not configured",
    given: { failuresInARow: 9 },
    code: "UPSTREAM_BUSY",
    without: true,
    want: { failuresInARow: 10 },
  },
  {
    does: "ejects again with the first failure after its time",
    given: { failuresInARow: 2, ejectedUntilMs: 40_000 },
    code: "UPSTREAM_PROTOCOL",
    want: { failuresInARow: 3, ejectedUntilMs: 60_000 },
  },
  {
    does: "takes refused credentials as an answer of a server that lives",
    given: { failuresInARow: 5, ejectedUntilMs: 60_000 },
    code: "LOGIN_REFUSED",
    want: { failuresInARow: 0, ejectedUntilMs: undefined },
  },
  {
    does: "remembers the other role than was wanted",
    given: { failuresInARow: 1 },
    code: "UPSTREAM_ROLE",
    wanted: "read-write",
    want: { role: "read-only", roleUntilMs: 110_000 },
  },
  { does: "blames nobody for a file of ours", given: { failuresInARow: 1 }, code: "CREDENTIAL_MISSING", want: { failuresInARow: 1 } },
];
for (const { does, given, code, wanted, without, want } of failures) {
  test(`afterFailure() ${does}`, () => {
    const before = { ...unknownStanding, ...given };
    const after = afterFailure(before, failureOf(code), { ejection: without === true ? undefined : ejection, wanted });
    assert.deepEqual(after, { ...before, failuresInARow: 0, ...want, lastFailure: failureOf(code) });
  });
}

test("afterSuccess() makes no new object where nothing is new, and forgets failures otherwise", () => {
  const well: Standing = { ...unknownStanding, role: "read-write", roleUntilMs: Infinity };
  assert.equal(afterSuccess(well, "read-write", nowMs), well);
  assert.equal(afterSuccess(well, undefined, nowMs), well);
  const ejected = { ...well, failuresInARow: 2, ejectedUntilMs: 60_000 };
  assert.deepEqual(afterSuccess(ejected, "read-write", nowMs), { ...well, ejectedUntilMs: undefined });
});

test("afterFailure() remembers that the last failure was in the use of a connection, until one to connect or a success", () => {
  const context = { ejection, wanted: undefined };
  const inUse = afterFailure(unknownStanding, failureOf("UPSTREAM_BUSY"), { ...context, isInUse: true });
  assert.partialDeepStrictEqual(inUse, { failuresInARow: 1, hasFailedInUse: true });
  assert.partialDeepStrictEqual(afterFailure(inUse, failureOf("UPSTREAM_BUSY"), context), { failuresInARow: 2, hasFailedInUse: false });
  assert.deepEqual(afterSuccess(inUse, undefined, nowMs), { ...unknownStanding, lastFailure: inUse.lastFailure });
});

test("roleOf() believes a login for a minute, and a health check until the next", () => {
  const found = afterSuccess(unknownStanding, "read-only", nowMs);
  assert.equal(roleOf(found, nowMs + 59_999), "read-only");
  assert.equal(roleOf(found, nowMs + 60_000), undefined);
  const checked = afterCheck(unknownStanding, { kind: "passed", role: "read-only" }, thresholds);
  assert.equal(roleOf(checked, Number.MAX_SAFE_INTEGER), "read-only");
});

const passed: CheckOutcome = { kind: "passed", role: "read-write" };
const down: CheckOutcome = { kind: "failed", failure: failureOf("UPSTREAM_UNREACHABLE") };
const refused: CheckOutcome = { kind: "failed", failure: failureOf("LOGIN_REFUSED") };
const checks: { does: string; outcomes: CheckOutcome[]; want: Partial<Standing> }[] = [
  { does: "believes the first that passes at once", outcomes: [passed], want: { health: "healthy", dissent: 0 } },
  { does: "stays unknown before enough have failed", outcomes: [down, down], want: { health: "unknown", dissent: 2 } },
  {
    does: "finds it unhealthy after enough in a row",
    outcomes: [passed, down, down, down],
    want: { health: "unhealthy", isRefusing: false },
  },
  {
    does: "begins to count again after one that passed",
    outcomes: [passed, down, down, passed, down, down],
    want: { health: "healthy", dissent: 2 },
  },
  { does: "takes it back after enough in a row", outcomes: [down, down, down, passed, passed], want: { health: "healthy" } },
  {
    does: "does not take it back when they alternate",
    outcomes: [down, down, down, passed, down, passed],
    want: { health: "unhealthy", dissent: 1 },
  },
  {
    does: "tells that only the credentials were refused",
    outcomes: [refused, refused, refused],
    want: { health: "unhealthy", isRefusing: true },
  },
  {
    does: "tells what the last failure was",
    outcomes: [refused, refused, refused, down],
    want: { health: "unhealthy", isRefusing: false },
  },
  { does: "keeps the role while it fails", outcomes: [passed, down], want: { role: "read-write", dissent: 1 } },
];
for (const { does, outcomes, want } of checks) {
  test(`afterCheck() ${does}`, () => {
    const after = outcomes.reduce((standing, outcome) => afterCheck(standing, outcome, thresholds), unknownStanding);
    assert.partialDeepStrictEqual(after, want);
  });
}

const lossy = { ...thresholds, everyMs: 1, timeoutMs: 1, kind: "login", path: "/", closeConnections: true } as const;
const demoted: CheckOutcome = { kind: "passed", role: "read-only" };
const roleless: CheckOutcome = { kind: "passed", role: undefined };
const losses: { does: string; outcomes: CheckOutcome[]; target?: UpstreamConfig["target"]; without?: true; want: boolean }[] = [
  { does: "finds nothing before enough checks have failed", outcomes: [passed, down, down], want: false },
  { does: "finds an address lost once it is unhealthy", outcomes: [passed, down, down, down], want: true },
  { does: "says so again with each check that fails", outcomes: [down, down, down, down], want: true },
  { does: "finds one lost that never was well", outcomes: [down, down, down], want: true },
  { does: "leaves one alone that only refuses the credentials", outcomes: [refused, refused, refused, refused], want: false },
  { does: "asks for enough in a row, also of one that refused them", outcomes: [refused, refused, refused, down, down], want: false },
  { does: "finds one lost that refused them and has gone then", outcomes: [refused, refused, refused, down, down, down], want: true },
  { does: "leaves one alone that is coming back", outcomes: [down, down, down, passed], want: false },
  { does: "counts anew after that", outcomes: [down, down, down, passed, down, down], want: false },
  { does: "finds nothing where connections are not to be closed", outcomes: [down, down, down], without: true, want: false },
  { does: "finds a demoted primary lost", outcomes: [passed, demoted], target: "read-write", want: true },
  { does: "finds a promoted replica lost where one is needed", outcomes: [demoted, passed], target: "read-only", want: true },
  { does: "leaves one alone that has the role", outcomes: [demoted, passed], target: "read-write", want: false },
  { does: "asks for no role where any will do", outcomes: [passed, demoted], target: "any", want: false },
  { does: "asks for no role where one is only preferred", outcomes: [demoted, passed], target: "prefer-read-only", want: false },
  { does: "knows nothing of a role that the check did not ask", outcomes: [demoted, roleless], target: "read-write", want: false },
];
for (const { does, outcomes, target = "any", without, want } of losses) {
  test(`isLost() ${does}`, () => {
    const healthCheck = { ...lossy, closeConnections: without !== true };
    const after = outcomes.reduce((standing, outcome) => afterCheck(standing, outcome, healthCheck), unknownStanding);
    assert.equal(isLost(after, outcomes.at(-1) ?? passed, { healthCheck, target }), want);
  });
}
