import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually, run } from "@peapod/kit";
import { isAlive, peapod, startEngine } from "./engine-fixture.ts";
import { assertNothingLeft, findTraces } from "./leaks.ts";
import { applyReady, field, idle, list, output, pod, shell } from "./pods.ts";

test("what exits while no engine runs is recorded with its exit code, and restarted as the policy says", async (t) => {
  const engine = await startEngine(t);
  const script = "trap 'exit 0' TERM; while [ ! -e /stop/now ]; do busybox usleep 50000; done; exit 3";
  const containers = [shell("main", script, { volumeMounts: [{ name: "stop", mountPath: "/stop" }] })];
  const volumes = [{ name: "stop", hostPath: { path: join(engine.stateDir, "..", "stop"), type: "DirectoryOrCreate" } }];
  await applyReady(engine, pod("worker", { restartPolicy: "OnFailure", containers, volumes }), "worker");
  await engine.kill();
  writeFileSync(join(engine.stateDir, "..", "stop", "now"), "");
  await delay(500); // nobody is there to ask
  rmSync(join(engine.stateDir, "..", "stop", "now"));
  await engine.start();
  await eventually(async () => (await field(engine, "pod/worker", ".status.containerStatuses[0].restartCount")) === "1", {
    withinMs: 15_000,
    everyMs: 100,
  });
  assert.equal(await field(engine, "pod/worker", ".status.containerStatuses[0].lastState.terminated.exitCode"), "3");
  await engine.kubectl("wait", "--for=condition=Ready", "--timeout=20s", "pod/worker");
});

test("a service restart leaves the pods alone; a reboot starts every pod anew", async (t) => {
  const engine = await startEngine(t);
  await applyReady(engine, pod("one", { containers: [idle("main")] }), "one");
  const id = () => field(engine, "pod/one", ".status.containerStatuses[0].containerID");
  const before = await id();
  await engine.stop();
  await engine.start();
  assert.equal(await id(), before);

  await engine.stop();
  await becomeAsAfterReboot(engine.engineId(), engine.runDir, engine.stateDir);
  await engine.start();
  await eventually(
    async () => (await id()) !== before && (await field(engine, "pod/one", ".status.containerStatuses[0].restartCount")) === "1",
    { withinMs: 15_000, everyMs: 100 },
  );
  await engine.kubectl("wait", "--for=condition=Ready", "--timeout=20s", "pod/one");
});

/** What a reboot leaves: no process, mount, namespace, link or rule of the engine, an empty run directory, the state directory as it was. */
async function becomeAsAfterReboot(engineId: string, runDir: string, stateDir: string): Promise<void> {
  const signal = AbortSignal.timeout(20_000);
  const script = `
    for p in $(grep -l peapod-${engineId} /proc/[0-9]*/cgroup 2>/dev/null | cut -d/ -f3); do kill -9 $p 2>/dev/null; done
    sleep 0.3
    awk '{print $5}' /proc/self/mountinfo | grep -e '^${runDir}/' -e '^${stateDir}/' | sort -r | while read m; do umount -l "$m" 2>/dev/null; done
    umount -l ${runDir} 2>/dev/null
    ip -o link | awk -F': ' '/${engineId}/{print $2}' | cut -d@ -f1 | while read l; do ip link delete "$l" 2>/dev/null; done
    nft delete table inet peapod-${engineId} 2>/dev/null; nft delete table ip peapod-${engineId} 2>/dev/null
    find /sys/fs/cgroup -depth -type d -path '*/peapod-${engineId}*' -exec rmdir {} ';' 2>/dev/null
    rm -rf ${runDir}; true`;
  await run("sh", ["-c", script], { signal });
}

test("an engine whose log nobody reads any more goes on", async (t) => {
  const engine = await startEngine(t);
  await engine.stop();
  await engine.start({ PEAPOD_LOG_LEVEL: "debug" }, { closeLog: true });
  await applyReady(engine, pod("one", { containers: [idle("main")] }), "one");
  await engine.kubectl("delete", "pod", "one");
  assert.ok(isAlive(engine.pid()));
});

test("an engine that stops leaves nothing of a pod deleted by force, which the API does not show any more", async (t) => {
  const engine = await startEngine(t);
  const stubborn = shell("main", "trap '' TERM; while :; do busybox sleep 1; done");
  await applyReady(engine, pod("stubborn", { terminationGracePeriodSeconds: 30, containers: [stubborn] }), "stubborn");
  const { engineId, stateDir, runDir } = { engineId: engine.engineId(), stateDir: engine.stateDir, runDir: engine.runDir };
  await engine.kubectl("delete", "pod", "stubborn", "--force", "--grace-period=0", "--wait=false");
  await engine.stop();
  await assertNothingLeft({ engineId, stateDir, runDir });
  await t.test("an engine starts whatever a pod or an image left, and is done with folders that no path can name", async (t) => {
    await engine.start();
    const scratch = { volumeMounts: [{ name: "scratch", mountPath: "/scratch" }] };
    await applyReady(engine, pod("deep", { containers: [idle("main", scratch)], volumes: [{ name: "scratch", emptyDir: {} }] }), "deep");
    const uid = await field(engine, "pod/deep", ".metadata.uid");
    const orphan = join(engine.stateDir, "rootfs/gone_main_0");
    const layer = join(engine.stateDir, "images/layers", "0".repeat(64));
    const busy = join(engine.stateDir, "images/tmp/busy/mounted");
    await engine.kill();
    for (const path of [orphan, layer, busy]) mkdirSync(path, { recursive: true });
    const ofPod = [join(engine.runDir, `rootfs/${uid}_main_0/tmp`), join(engine.stateDir, `pods/${uid}/volumes/scratch`)];
    const nest = 'for (1..600) { mkdir("a" x 10) && chdir("a" x 10) or die "$!" }';
    for (const cwd of [orphan, layer, ...ofPod]) await run("perl", ["-e", nest], { signal: t.signal, cwd });
    await run("mount", ["-t", "tmpfs", "busy", busy], { signal: t.signal });
    try {
      await engine.start();
      for (const path of [orphan, layer]) assert.equal(existsSync(path), false, path);
      await engine.kubectl("delete", "pod", "deep", "--grace-period=1", "--timeout=20s");
      assert.deepEqual(readdirSync(join(engine.stateDir, "images/tmp")), ["busy"]);
      assert.match(
        readFileSync(join(engine.stateDir, "../engine.log"), "utf8"),
        /"message":"clean-up failed, tried again later"[^\n]*images\/tmp\/busy/,
      );
    } finally {
      await run("umount", [busy], { signal: AbortSignal.timeout(5_000) });
    }
  });
});

test("two engines on one state directory: the second says so and stops", async (t) => {
  const engine = await startEngine(t);
  const second = await engine.command(peapod, ["serve"]);
  assert.notEqual(second.exitCode, 0);
  assert.match(second.stderr, new RegExp(`Another engine \\(process ${engine.pid()}\\) already uses ${engine.stateDir}`));
});

test("several engines live side by side", async (t) => {
  const [left, right] = [await startEngine(t), await startEngine(t)];
  const manifest = pod("same-name", { containers: [idle("main")] });
  await Promise.all([applyReady(left, manifest, "same-name"), applyReady(right, manifest, "same-name")]);
  assert.notEqual(await field(left, "pod/same-name", ".status.podIP"), await field(right, "pod/same-name", ".status.podIP"));
  await left.kubectl("delete", "pod", "same-name");
  assert.equal(await field(right, "pod/same-name", ".status.phase"), "Running");
});

test("nothing is left of a pod that is gone, nor of one whose start fails at any step", async (t) => {
  const engine = await startEngine(t);
  const traces = () => findTraces({ engineId: engine.engineId(), stateDir: engine.stateDir, runDir: engine.runDir });
  await applyReady(engine, pod("warm", { containers: [idle("main")] }), "warm");
  await engine.kubectl("delete", "pod", "warm");
  const before = (await traces()).filter((one) => !one.includes("engine.log"));

  const failing: Record<string, { spec: Record<string, unknown>; says: RegExp }> = {
    image: {
      spec: { containers: [{ ...idle("main"), image: "apt.local/no-such-package-at-all" }] },
      says: /ErrImagePull|ImagePullBackOff/,
    },
    volume: {
      spec: {
        volumes: [{ name: "v", hostPath: { path: "/no/such/place", type: "Directory" } }],
        containers: [idle("main", { volumeMounts: [{ name: "v", mountPath: "/v" }] })],
      },
      says: /FailedMount/,
    },
    config: {
      spec: { containers: [idle("main", { env: [{ name: "X", valueFrom: { configMapKeyRef: { name: "none", key: "x" } } }] })] },
      says: /CreateContainerConfigError/,
    },
    command: {
      spec: { containers: [{ ...idle("main"), command: ["/no/such/program"] }, idle("other")] },
      says: /RunContainerError|StartError|CrashLoopBackOff/,
    },
  };
  for (const [name, { spec, says }] of Object.entries(failing)) {
    await engine.apply(pod(`fails-${name}`, spec));
    await eventually(async () => says.test(await engine.kubectl("describe", "pod", `fails-${name}`)), { withinMs: 20_000, everyMs: 200 });
    await engine.kubectl("delete", "pod", `fails-${name}`, "--timeout=20s");
    await eventually(async () => assert.deepEqual(await traces(), before, name), { withinMs: 5_000, everyMs: 100 });
  }
});

test("a container that is killed, runs out of memory or fails is restarted with back-off, or not, as its policy says", async (t) => {
  const engine = await startEngine(t);
  await engine.apply(
    list(
      pod("never", { restartPolicy: "Never", containers: [shell("ok", "exit 0"), shell("bad", "echo trouble; exit 4")] }),
      pod("succeeds", { restartPolicy: "OnFailure", containers: [shell("ok", "exit 0")] }),
      pod("crashes", { containers: [shell("main", "exit 1")] }),
      pod("hungry", {
        restartPolicy: "Never",
        containers: [shell("main", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done", { resources: { limits: { memory: "24Mi" } } })],
      }),
    ),
  );
  const until = (object: string, path: string, value: string) =>
    eventually(async () => assert.equal(await field(engine, object, path), value), { withinMs: 20_000, everyMs: 100 });
  await until("pod/never", ".status.phase", "Failed");
  assert.equal(await field(engine, "pod/never", ".status.containerStatuses[?(@.name=='bad')].state.terminated.exitCode"), "4");
  await until("pod/succeeds", ".status.phase", "Succeeded");
  assert.equal(await field(engine, "pod/succeeds", ".status.containerStatuses[0].state.terminated.reason"), "Completed");
  await until("pod/crashes", ".status.containerStatuses[0].state.waiting.reason", "CrashLoopBackOff");
  assert.equal(await field(engine, "pod/crashes", ".status.phase"), "Running");
  await until("pod/hungry", ".status.containerStatuses[0].state.terminated.reason", "OOMKilled");
  assert.equal(await field(engine, "pod/hungry", ".status.containerStatuses[0].state.terminated.exitCode"), "137");
  assert.equal(await engine.kubectl("logs", "never", "-c", "bad"), "trouble\n");
  assert.match(await engine.kubectl("get", "events"), /BackOff.*restarting failed container/);
});

test("resources become cgroup limits", async (t) => {
  const engine = await startEngine(t);
  const resources = { requests: { cpu: "250m" }, limits: { cpu: "500m", memory: "64Mi" } };
  await applyReady(engine, pod("limited", { containers: [idle("main", { resources })] }), "limited");
  // As the container sees them, in v1's files or v2's.
  const read = (v1: string, v2: string) =>
    output(engine, "limited", "main", `cat /sys/fs/cgroup/${v1} 2>/dev/null || cat /sys/fs/cgroup/${v2}`);
  assert.equal(await read("memory/memory.limit_in_bytes", "memory.max"), String(64 * 1024 * 1024));
  assert.match(await read("cpu/cpu.cfs_quota_us", "cpu.max"), /^50000( 100000)?$/);
  assert.match(await read("cpu/cpu.shares", "cpu.weight"), /^(256|10|35)$/); // v2: by the runtime's old or new formula
  assert.equal(await field(engine, "pod/limited", ".status.qosClass"), "Burstable");
});
