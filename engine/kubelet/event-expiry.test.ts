import assert from "node:assert/strict";
import { test } from "node:test";
import { events } from "@peapod/api";
import { type Clock, eventually, silentLogger } from "@peapod/kit";
import { expireEvents } from "./event-expiry.ts";
import { TestNode } from "./kubelet.fixture.ts";

test("expireEvents() deletes events an hour after they last happened", async () => {
  await using node = await TestNode.open();
  const nowMs = Date.parse("2026-01-01T12:00:00Z");
  for (const [name, lastTimestamp] of [
    ["old", "2026-01-01T10:59:59Z"],
    ["young", "2026-01-01T11:00:01Z"],
  ] as const) {
    const involvedObject = { kind: "Pod", name: "web", namespace: "default" };
    await node.client.create(
      events,
      { apiVersion: "v1", kind: "Event", metadata: { name, namespace: "default" }, involvedObject, lastTimestamp },
      {},
      node.signal,
    );
  }
  const stop = new AbortController();
  let sleeps = 0;
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async (_ms, signal) => {
      if (sleeps++ > 0)
        await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
    },
  };
  const done = expireEvents({ client: node.client, clock, log: silentLogger }, stop.signal);
  await eventually(
    async () =>
      assert.deepEqual(
        (await node.events()).map(({ metadata }) => metadata.name),
        ["young"],
      ),
    { withinMs: 1_000 },
  );
  stop.abort();
  await done;
});
