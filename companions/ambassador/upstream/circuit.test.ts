import assert from "node:assert/strict";
import test from "node:test";
import { admit, afterTry, type Circuit, closedCircuit } from "./circuit.ts";

const config = { failures: 3, openMs: 5_000 };
const nowMs = 10_000;
const open: Circuit = { kind: "open", untilMs: 15_000 };
const probing: Circuit = { kind: "half-open", isProbing: true };
const waiting: Circuit = { kind: "half-open", isProbing: false };

type Verdict = "answer" | "failure" | "neutral";
const cases: { does: string; given: Circuit; verdict: Verdict; isProbe?: true; want: Circuit }[] = [
  { does: "counts failures in a row", given: { kind: "closed", failures: 1 }, verdict: "failure", want: { kind: "closed", failures: 2 } },
  { does: "opens when there are enough", given: { kind: "closed", failures: 2 }, verdict: "failure", want: open },
  { does: "begins to count again after an answer", given: { kind: "closed", failures: 2 }, verdict: "answer", want: closedCircuit },
  {
    does: "counts nothing that says nothing",
    given: { kind: "closed", failures: 2 },
    verdict: "neutral",
    want: { kind: "closed", failures: 2 },
  },
  {
    does: "does not stay open longer for a late failure",
    given: { kind: "open", untilMs: 11_000 },
    verdict: "failure",
    want: { kind: "open", untilMs: 11_000 },
  },
  { does: "closes with a late success", given: open, verdict: "answer", want: closedCircuit },
  { does: "closes with a probe that is answered", given: probing, verdict: "answer", isProbe: true, want: closedCircuit },
  { does: "opens with a probe that fails", given: probing, verdict: "failure", isProbe: true, want: open },
  { does: "lets another probe in when one came to nothing", given: probing, verdict: "neutral", isProbe: true, want: waiting },
  { does: "leaves the decision to the probe", given: probing, verdict: "failure", want: probing },
];
for (const { does, given, verdict, isProbe, want } of cases) {
  test(`afterTry() ${does}`, () => {
    assert.deepEqual(afterTry(given, { verdict, isProbe: isProbe ?? false, nowMs }, config), want);
  });
}

test("admit() lets all in while closed, none while open, and one probe after that", () => {
  assert.deepEqual(admit(closedCircuit, nowMs), { circuit: closedCircuit, isProbe: false });
  assert.equal(admit(open, 14_999), undefined);
  assert.deepEqual(admit(open, 15_000), { circuit: probing, isProbe: true });
  assert.equal(admit(probing, 15_001), undefined);
  assert.deepEqual(admit(waiting, 15_001), { circuit: probing, isProbe: true });
});
