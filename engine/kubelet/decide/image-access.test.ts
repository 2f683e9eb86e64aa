import assert from "node:assert/strict";
import { test } from "node:test";
import type { Container } from "@peapod/api";
import { type ImageStep, nextPullBackoff, planImage, type PullBackoff } from "./image-access.ts";

const backoff: PullBackoff = { delayMs: 10_000, untilMs: 60_000, reason: "ErrImagePull: no" };
const waiting = {
  never: {
    reason: "ErrImageNeverPull",
    message: 'Container image "app:1" is not present with pull policy of Never',
    retryAtMs: 60_000,
  },
  backoff: { reason: "ImagePullBackOff", message: 'Back-off pulling image "app:1": ErrImagePull: no', retryAtMs: 60_000 },
};

const cases: { policy?: Container["imagePullPolicy"]; isPresent: boolean; backoff?: PullBackoff; nowMs?: number; want: ImageStep }[] = [
  { isPresent: true, want: { kind: "use" } },
  { isPresent: false, want: { kind: "pull" } },
  { policy: "Always", isPresent: true, want: { kind: "pull" } },
  { policy: "Never", isPresent: true, want: { kind: "use" } },
  { policy: "Never", isPresent: false, want: { kind: "wait", failure: waiting.never } },
  { isPresent: false, backoff, want: { kind: "wait", failure: waiting.backoff } },
  { isPresent: false, backoff, nowMs: 60_000, want: { kind: "pull" } },
  { isPresent: true, backoff, want: { kind: "use" } },
];

for (const { policy, isPresent, backoff: before, nowMs = 50_000, want } of cases) {
  const has = `${isPresent ? "present" : "missing"}${before === undefined ? "" : `, at ${nowMs} of a back-off`}`;
  test(`planImage() says ${want.kind} of an image with policy ${policy ?? "unset"} that is ${has}`, () => {
    const container: Container = { name: "web", image: "app:1", ...(policy === undefined ? {} : { imagePullPolicy: policy }) };
    assert.deepEqual(planImage(container, isPresent, before, nowMs), want);
  });
}

test("nextPullBackoff() doubles from 10 to 300 seconds", () => {
  let before: PullBackoff | undefined;
  const delays = Array.from({ length: 7 }, () => (before = nextPullBackoff(before, "no", 1_000)).delayMs);
  assert.deepEqual(delays, [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  assert.deepEqual([before?.untilMs, before?.reason], [301_000, "ErrImagePull: no"]);
});
