import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event } from "@peapod/api";
import { eventually, silentLogger, systemClock } from "@peapod/kit";
import type { Client } from "./client.ts";
import { EventRecorder } from "./event-recorder.ts";

/** A client that keeps what is created. */
function keeping(created: Event[]): Client {
  const unused = (): never => {
    throw new Error("Not used here");
  };
  const create = (async (_resource: unknown, object: Event) => {
    created.push(object);
    return object;
  }) as unknown as Client["create"]; // only events are created
  return { get: unused, create, update: unused, patch: unused, delete: unused, list: unused, watch: unused };
}

test("EventRecorder names events so that by name they are in order, whoever of two recorders noted them", async () => {
  const created: Event[] = [];
  const clock = { ...systemClock, sleep: async () => {} };
  const recorders = ["default-scheduler", "kubelet"].map(
    (component) => new EventRecorder({ client: keeping(created), component, host: "", clock, log: silentLogger }),
  );
  const subject = { apiVersion: "v1", kind: "Pod", namespace: "default", name: "web", uid: "u" };
  for (let step = 0; step < 200; step++) recorders[step % 2]?.record(subject, "Normal", "Step", String(step).padStart(3, "0"));
  const stop = new AbortController();
  const running = recorders.map((recorder) => recorder.run(stop.signal));
  await eventually(() => created.length === 200, { withinMs: 1_000 });
  stop.abort();
  await Promise.all(running);
  const byName = created.toSorted((left, right) => ((left.metadata.name ?? "") < (right.metadata.name ?? "") ? -1 : 1));
  assert.match(byName[0]?.metadata.name ?? "", /^web\.[0-9a-f]{16}$/);
  const messages = byName.map(({ message }) => message ?? "");
  assert.deepEqual(messages, messages.toSorted());
});
