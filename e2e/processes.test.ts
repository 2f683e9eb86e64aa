import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { startEngine } from "./engine-fixture.ts";
import { applyReady, idle, inContainer, output, pod, shell } from "./pods.ts";

const application = shell(
  "application",
  "echo configured > /settings; trap 'echo reloaded' HUP; echo ready; while :; do busybox sleep 3600 & wait $!; done",
);

test("with shareProcessNamespace containers see, signal and read each other", async (t) => {
  const engine = await startEngine(t);
  await applyReady(engine, pod("shared", { shareProcessNamespace: true, containers: [application, idle("helper")] }), "shared");
  const find = "busybox ps -o pid,args | busybox awk '/echo reloade[d]/ {print $1; exit}'";

  await t.test("a container sees the others' processes", async () => {
    assert.match(await output(engine, "shared", "helper", `test -n "$(${find})" && ${find}`), /^\d+$/);
  });
  await t.test("it sends one a signal that it acts on", async () => {
    await output(engine, "shared", "helper", `busybox kill -HUP $(${find})`);
    await eventually(async () => (await engine.kubectl("logs", "shared", "-c", "application")).includes("reloaded"), {
      withinMs: 5_000,
      everyMs: 100,
    });
  });
  await t.test("it reads the other's files through /proc/PID/root", async () => {
    assert.equal(await output(engine, "shared", "helper", `cat /proc/$(${find})/root/settings`), "configured");
  });
  await t.test("the pause process is PID 1 and reaps", async () => {
    assert.match(await output(engine, "shared", "helper", "cat /proc/1/comm"), /catatonit|pause/);
    // An orphan: its parent ends first, so it falls to PID 1 when it ends, and must not stay a zombie.
    await output(engine, "shared", "helper", "busybox sh -c '(busybox sleep 0.2; exit 7) & exit 0'");
    await eventually(
      async () => (await inContainer(engine, "shared", "helper", "grep -l 'State:.Z' /proc/[0-9]*/status 2>/dev/null")).stdout === "",
      { withinMs: 5_000, everyMs: 100 },
    );
  });
  await t.test("a pause process that was killed is replaced, and all starts anew in the new sandbox", async () => {
    const sandboxes = join(engine.runDir, "sandboxes");
    const [sandbox = ""] = readdirSync(sandboxes);
    process.kill(Number(readFileSync(join(sandboxes, sandbox, "pause/pid"), "utf8")), "SIGKILL");
    const restarts = "jsonpath={.status.containerStatuses[*].restartCount} {.status.containerStatuses[*].ready}";
    await eventually(async () => assert.equal(await engine.kubectl("get", "pod", "shared", "-o", restarts), "1 1 true true"), {
      withinMs: 15_000, // far less than the kubelet's own look at everything
      everyMs: 100,
    });
    assert.match(await output(engine, "shared", "helper", `test -n "$(${find})" && ${find}`), /^\d+$/);
  });
});

test("without shareProcessNamespace a container sees only its own processes", async (t) => {
  const engine = await startEngine(t);
  await applyReady(engine, pod("apart", { containers: [application, idle("helper")] }), "apart");
  const processes = await output(engine, "apart", "helper", "busybox ps -o pid,args");
  assert.doesNotMatch(processes, /reloaded/);
  assert.match(await output(engine, "apart", "helper", "busybox tr '\\0' ' ' < /proc/1/cmdline"), /trap 'exit 0' TERM/);
});
