import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "@peapod/api";
import { WaitingPods } from "./waiting-pods.ts";

const pod = (uid: string, container: object, creationTimestamp = "2026-01-01T00:00:00Z"): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: uid, uid, creationTimestamp },
  spec: { containers: [{ name: "a", ...container }] },
});
const cpu = (amount: string): object => ({ resources: { requests: { cpu: amount } } });
const shown = (waiting: WaitingPods): string[][] => waiting.takeDue().map(({ pods }) => [...pods.keys()]);

test("WaitingPods has one group for those that take the same, and its oldest has the turn", () => {
  const waiting = new WaitingPods();
  waiting.put(pod("a", cpu("1"), "2026-01-01T00:00:02Z"));
  waiting.put(pod("b", cpu("1000m"), "2026-01-01T00:00:01Z"));
  waiting.put(pod("c", cpu("2")));
  const [first, second] = waiting.takeDue();
  assert.deepEqual([[...(first?.pods.keys() ?? [])], [...(second?.pods.keys() ?? [])]], [["a", "b"], ["c"]]);
  assert.equal(first?.oldest?.metadata.uid, "b");
  waiting.delete("b");
  assert.equal(first?.oldest?.metadata.uid, "a");
});

test("WaitingPods makes due what waits for what came free, nothing else", () => {
  const waiting = new WaitingPods();
  const lacks = new Map([
    ["cpu", ["cpu"]],
    ["port", ["TCP/80"]],
    ["both", ["cpu", "TCP/81"]],
  ]);
  for (const [index, uid] of [...lacks.keys()].entries()) waiting.put(pod(uid, cpu(`${index + 1}`)));
  for (const group of waiting.takeDue()) {
    const [uid = ""] = group.pods.keys();
    waiting.settle(group, `lacks ${uid}`, lacks.get(uid) ?? []);
  }
  assert.deepEqual(shown(waiting), []);
  waiting.freed(["places", "memory"]);
  assert.deepEqual(shown(waiting), []);
  waiting.freed(["cpu"]);
  assert.deepEqual(shown(waiting), [["cpu"], ["both"]]);
  waiting.freed(["TCP/80"]);
  assert.deepEqual(shown(waiting), [["port"]]);
  waiting.delete("both");
  waiting.allFreed();
  assert.deepEqual(shown(waiting), [["cpu"], ["port"]]);
});

test("WaitingPods notes who is still to be told: new ones, and all once the message changes", () => {
  const waiting = new WaitingPods();
  waiting.put(pod("a", cpu("1")));
  const [group] = waiting.takeDue();
  assert.ok(group);
  waiting.settle(group, "full", ["cpu"]);
  group.untold.clear();
  waiting.put(pod("b", cpu("1")));
  waiting.settle(group, "full", ["cpu"]);
  assert.deepEqual([...group.untold], ["b"]);
  waiting.put(pod("a", cpu("1")));
  assert.deepEqual([...group.untold], ["b"], "one that only changed was told");
  waiting.settle(group, "fuller", ["cpu"]);
  assert.deepEqual([...group.untold].toSorted(), ["a", "b"]);
});
