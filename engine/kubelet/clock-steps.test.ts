import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, SteppingClock } from "@peapod/kit";
import { TestNode } from "./kubelet.fixture.ts";

const HOUR_MS = 3_600_000;
/** A back-off of ten seconds takes half a one; one of an hour would take three minutes. */
const SPEED = 20;

const isRunning = (pod: { status?: { phase?: string } }): boolean => pod.status?.phase === "Running";

for (const { what, stepMs, isRestarted } of [
  { what: "an hour back", stepMs: -HOUR_MS, isRestarted: false },
  { what: "30 days back", stepMs: -720 * HOUR_MS, isRestarted: true },
  { what: "a year forward", stepMs: 8_760 * HOUR_MS, isRestarted: false },
]) {
  test(`Kubelet restarts a container after its back-off though the clock goes ${what}${isRestarted ? ", over a restart too" : ""}`, async () => {
    const clock = new SteppingClock(SPEED);
    await using node = await TestNode.open({ clock });
    node.start();
    await node.createPod("web");
    await node.until("web", isRunning);
    node.runtime.exit(await node.containerId(), 1);
    await node.until("web", ({ status }) => status?.containerStatuses?.[0]?.restartCount === 1 && status.containerStatuses[0].ready);
    const endedAtMs = clock.monotonicMs();
    node.runtime.exit(await node.containerId(), 1);
    await node.until("web", ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === "CrashLoopBackOff");
    if (isRestarted) await node.stop();
    clock.step(stepMs);
    if (isRestarted) node.start();
    await node.until("web", ({ status }) => status?.containerStatuses?.[0]?.restartCount === 2 && status.containerStatuses[0].ready);
    const tookMs = clock.monotonicMs() - endedAtMs;
    assert.ok(tookMs >= 10_000, `restarted after ${tookMs} ms`);
  });
}

test("Kubelet gives a terminating container its whole grace though the clock goes an hour forward", async () => {
  const clock = new SteppingClock();
  await using node = await TestNode.open({ clock, endsOnStop: () => false });
  node.start();
  await node.createPod("web", {
    containers: [
      { name: "web", image: "app:1" },
      { name: "side", image: "app:1" },
    ],
  });
  await node.until("web", isRunning);
  const stops = (): string[] => node.runtime.calls.filter((call) => call.startsWith("stopContainer web"));
  await node.deletePod("web", 60);
  await eventually(() => stops().length > 0, { withinMs: 5_000 });
  clock.step(HOUR_MS);
  node.runtime.exit(await node.containerId("side"), 0); // the other container ends: another look at the pod
  await node.until("web", ({ status }) => status?.containerStatuses?.find(({ name }) => name === "side")?.state?.terminated !== undefined);
  assert.deepEqual(stops(), ["stopContainer web 60"]);
  node.runtime.exit(await node.containerId("web"), 0);
  await node.untilGone("web");
});
