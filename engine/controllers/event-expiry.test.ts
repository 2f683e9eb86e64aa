import assert from "node:assert/strict";
import { test } from "node:test";
import { events } from "@peapod/api";
import { type Clock, eventually, silentLogger } from "@peapod/kit";
import { expireEvents } from "./event-expiry.ts";
import { TestNode } from "../kubelet/kubelet.fixture.ts";

const HOUR_MS = 3_600_000;

/** Time that a test lets pass from look to look. */
class LookClock implements Clock {
  wallMs = Date.parse("2026-01-01T12:00:00Z");
  #monotonicMs = 1_000;
  #next = Promise.withResolvers<void>();
  looks = 0;

  nowMs(): number {
    return this.wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  /** Each look ends with a sleep. */
  async sleep(_ms: number, signal: AbortSignal): Promise<void> {
    this.looks += 1;
    const aborted = new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
    await Promise.race([this.#next.promise, aborted]);
  }

  /** Lets time pass and one more look happen. */
  async pass(ms: number, stepMs = 0): Promise<void> {
    const wanted = this.looks + 1;
    this.#monotonicMs += ms;
    this.wallMs += ms + stepMs;
    this.#next.resolve();
    this.#next = Promise.withResolvers();
    await eventually(() => this.looks >= wanted, { withinMs: 5_000, everyMs: 1 });
  }
}

test("expireEvents() deletes events an hour after they last happened, however the wall clock is stepped", async () => {
  await using node = await TestNode.open();
  const clock = new LookClock();
  const happen = async (name: string, agoMs: number): Promise<void> => {
    const lastTimestamp = `${new Date(clock.nowMs() - agoMs).toISOString().slice(0, 19)}Z`;
    const involvedObject = { kind: "Pod", name: "web", namespace: "default" };
    const event = { apiVersion: "v1", kind: "Event", metadata: { name, namespace: "default" }, involvedObject, lastTimestamp } as const;
    await node.client.create(events, event, {}, node.signal);
  };
  const left = async (): Promise<(string | undefined)[]> => (await node.events()).map(({ metadata }) => metadata.name);
  await happen("old", HOUR_MS + 1_000);
  await happen("young", HOUR_MS - 301_000);
  await happen("future", -30 * 24 * HOUR_MS);
  const stop = new AbortController();
  const done = expireEvents({ client: node.client, clock, log: silentLogger }, stop.signal);
  await eventually(() => clock.looks === 1, { withinMs: 5_000 });
  assert.deepEqual(await left(), ["future", "young"]);
  await happen("new", 0);
  await clock.pass(300_000, 2 * HOUR_MS);
  assert.deepEqual(await left(), ["future", "new", "young"]);
  await clock.pass(2_000, -9 * HOUR_MS);
  assert.deepEqual(await left(), ["future", "new"]);
  await happen("newer", 0);
  await clock.pass(HOUR_MS - 302_000);
  assert.deepEqual(await left(), ["newer"]);
  await clock.pass(302_000);
  assert.deepEqual(await left(), []);
  stop.abort();
  await done;
});
