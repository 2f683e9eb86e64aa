import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "@peapod/api";
import fc from "fast-check";
import type { Container } from "../../runtime/runtime.ts";
import type { Action } from "../decide/actions.ts";
import { planPod } from "../decide/plan.ts";
import { PodRecord } from "./pod-record.ts";

const DAY_MS = 86_400_000;
const WALL_MS = Date.parse("2026-01-01T00:00:00Z");

/** A wall clock that steps, beside one that does not. */
class TestClock {
  #wallMs = WALL_MS;
  #monotonicMs: number;

  constructor(monotonicMs = 1_000) {
    this.#monotonicMs = monotonicMs;
  }

  nowMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  pass(ms: number): void {
    this.#wallMs += ms;
    this.#monotonicMs += ms;
  }

  step(ms: number): void {
    this.#wallMs += ms;
  }
}

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "default", uid: "u" },
  spec: { containers: [{ name: "web", image: "app:1" }], restartPolicy: "Always" },
};
const deleted = (graceSeconds: number, atMs: number): Pod => ({
  ...pod,
  metadata: {
    ...pod.metadata,
    deletionGracePeriodSeconds: graceSeconds,
    deletionTimestamp: `${new Date(atMs + graceSeconds * 1_000).toISOString().slice(0, 19)}Z`,
  },
});
const metadata = { uid: "u", namespace: "default", name: "web" };

function newRecord(clock: TestClock, found = pod): PodRecord {
  const record = new PodRecord(metadata);
  const sandbox = { id: "s0", pod: metadata, attempt: 0, state: "ready" as const, createdAtMs: 0, netnsPath: "/n" };
  record.sandboxes.made(sandbox);
  record.sandboxes.connected("s0", { ip: "10.88.0.2", prefixLength: 24, gateway: "10.88.0.1" });
  record.heard(found, true, clock);
  return record;
}

function container(record: PodRecord, state: Container["state"]): Container {
  const specHash = record.seen("ready").memories.get("web")?.specHash ?? "";
  const facts = { id: "c0", sandboxId: "s0", pod: metadata, name: "web", attempt: 0, image: "app:1", imageId: "i", logPath: "" };
  return { ...facts, specHash, createdAtMs: 0, state };
}

const running = (clock: TestClock): Container["state"] => ({ kind: "running", pid: 1, startedAtMs: clock.nowMs() });
const exited = (startedAtMs: number, finishedAtMs: number): Container["state"] => ({
  kind: "exited",
  exitCode: 1,
  startedAtMs,
  finishedAtMs,
  oomKilled: false,
});
const plan = (record: PodRecord, clock: TestClock): Action | undefined =>
  planPod(record.wanted, record.seen("ready"), clock.monotonicMs()).at(0);

const anyStepMs = fc.integer({ min: -400 * DAY_MS, max: 400 * DAY_MS });
const anySteps = fc.array(fc.record({ stepMs: anyStepMs, passMs: fc.nat(15_000) }), { minLength: 1, maxLength: 6 });

test("a back-off lasts as long as it is, however the wall clock is stepped before it and during it", () => {
  fc.assert(
    fc.property(anySteps, anyStepMs, (steps, stepMs) => {
      const clock = new TestClock();
      const record = newRecord(clock);
      record.notesOf("web").recallBackoff({ delayMs: 20_000, restartedAtMs: clock.monotonicMs() });
      record.containers.looked(container(record, running(clock)), clock);
      clock.pass(5_000);
      record.containers.looked(container(record, exited(WALL_MS, clock.nowMs() + stepMs)), clock); // stepped between its end and the look
      const endedAtMs = clock.monotonicMs();
      for (const step of steps) {
        clock.step(step.stepMs);
        clock.pass(step.passMs);
        record.containers.looked(container(record, exited(WALL_MS, WALL_MS)), clock); // looked at again
        const next = plan(record, clock);
        if (clock.monotonicMs() < endedAtMs + 20_000) assert.deepEqual(next, { kind: "wait", untilMs: endedAtMs + 20_000 });
        else assert.equal(next?.kind, "start-container");
      }
    }),
  );
});

test("a grace lasts as long as it is, however the wall clock is stepped, and a container is told once", () => {
  fc.assert(
    fc.property(anySteps, anyStepMs, fc.integer({ min: 2, max: 2 ** 31 }), (steps, stepMs, graceSeconds) => {
      const clock = new TestClock();
      const record = newRecord(clock);
      record.containers.looked(container(record, running(clock)), clock);
      record.heard(deleted(graceSeconds, clock.nowMs() + stepMs), true, clock); // stepped between the request and the look
      const askedAtMs = clock.monotonicMs();
      for (const step of steps) {
        clock.step(step.stepMs);
        clock.pass(step.passMs);
        const leftSeconds = Math.max(2, graceSeconds - Math.floor((clock.monotonicMs() - askedAtMs) / 1_000));
        const next = plan(record, clock);
        assert.deepEqual(next?.kind === "kill-container" && next.grace, { wholeSeconds: graceSeconds, leftSeconds });
      }
      record.containers.killBegins("c0", graceSeconds);
      assert.equal(plan(record, clock), undefined);
    }),
  );
});

const adoptions: { does: string; stepMs: number; passedMs: number; backoffLeftMs: number; graceLeftSeconds: number }[] = [
  { does: "goes on", stepMs: 0, passedMs: 6_000, backoffLeftMs: 14_000, graceLeftSeconds: 55 },
  { does: "is over", stepMs: 0, passedMs: 600_000, backoffLeftMs: 0, graceLeftSeconds: 2 },
  {
    does: "begins anew where the clock went back an hour",
    stepMs: -3_600_000,
    passedMs: 6_000,
    backoffLeftMs: 20_000,
    graceLeftSeconds: 60,
  },
  { does: "begins anew where it went back 30 days", stepMs: -30 * DAY_MS, passedMs: 6_000, backoffLeftMs: 20_000, graceLeftSeconds: 60 },
  { does: "is over where it went forward a year", stepMs: 365 * DAY_MS, passedMs: 6_000, backoffLeftMs: 0, graceLeftSeconds: 2 },
];
for (const { does, stepMs, passedMs, backoffLeftMs, graceLeftSeconds } of adoptions) {
  test(`after a restart of the engine, what is left of a wait ${does}: a back-off, a grace`, () => {
    const clock = new TestClock(50); // the new process has only begun
    clock.step(passedMs + stepMs);
    const status = {
      containerStatuses: [
        {
          name: "web",
          ready: false,
          restartCount: 2,
          image: "",
          imageID: "",
          state: { waiting: { reason: "CrashLoopBackOff" } },
          lastState: { terminated: { exitCode: 1, startedAt: "2025-12-31T23:59:59Z", finishedAt: "2026-01-01T00:00:00Z" } },
        },
      ],
    };
    const record = newRecord(clock);
    record.recallFromStatus(status, clock);
    const next = plan(record, clock);
    assert.deepEqual(next?.kind === "wait" ? next.untilMs - clock.monotonicMs() : 0, backoffLeftMs);

    const onMachine = newRecord(clock);
    onMachine.containers.adopted(container(onMachine, exited(WALL_MS - 1_000, WALL_MS)), clock);
    onMachine.notesOf("web").recallBackoff({ delayMs: 20_000, restartedAtMs: clock.monotonicMs() - 1_000 });
    const nextThere = plan(onMachine, clock);
    assert.deepEqual(nextThere?.kind === "wait" ? nextThere.untilMs - clock.monotonicMs() : 0, backoffLeftMs);

    const dying = newRecord(clock, deleted(60, WALL_MS));
    dying.containers.adopted(container(dying, running(clock)), clock);
    const kill = plan(dying, clock);
    assert.deepEqual(kill?.kind === "kill-container" && kill.grace, { wholeSeconds: 60, leftSeconds: graceLeftSeconds });
  });
}

test("PodRecord keeps a state once, and again where the disk did not take it, which is news the first time", () => {
  const record = new PodRecord({ uid: "1", namespace: "default", name: "web" });
  assert.deepEqual([record.keptAs("a"), record.keptAs("a")], [true, false]);
  assert.deepEqual([record.notKept(), record.keptAs("a"), record.notKept(), record.keptAs("a")], [true, true, false, true]);
});
