import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { eventually } from "@peapod/kit";
import { hasCode } from "../../errors.ts";
import { mount, unmount } from "../../linux/libc.ts";
import { nestFolders } from "../../linux/nested-folders.fixture.ts";
import { containerConfig, sandboxConfig } from "../runtime.conformance.ts";
import { type OciTestBed, withOciRuntime } from "./oci-test-bed.ts";

const signal = AbortSignal.any([]);
const WITHIN = { withinMs: 10_000 };

test("a new engine finds what runs, what is held and what exited meanwhile, and hears of the next exit", async () => {
  await withOciRuntime(async (bed) => {
    const { runtime } = bed;
    const { id: sandboxId } = await runtime.runPodSandbox({ ...sandboxConfig, shareProcessNamespace: true }, signal);
    const [runs, held, ended] = await Promise.all([
      make(bed, sandboxId, "runs"),
      make(bed, sandboxId, "held"),
      make(bed, sandboxId, "ended"),
    ]);
    await runtime.startContainer(runs, signal);
    await runtime.startContainer(ended, signal);
    await eventually(() => bed.log("ended").includes("ready"), WITHIN);
    await runtime.stopContainer(ended, 10, signal);
    const next = await bed.reopen();
    assert.equal((await next.listPodSandboxes())[0]?.state, "ready");
    const before = await runtime.listContainers();
    assert.deepEqual(sortById(await next.listContainers()), sortById(before));
    assert.equal((await next.containerStatus(held)).state.kind, "created");
    const { state } = await next.containerStatus(ended);
    assert.ok(state.kind === "exited");
    assert.equal(state.exitCode, 3);
    const events = next.events(signal)[Symbol.asyncIterator]();
    await next.startContainer(held, signal);
    process.kill(pidOf(bed, runs), "SIGKILL");
    assert.equal((await events.next()).value?.containerId, runs);
    const last = (await next.containerStatus(runs)).state;
    assert.equal(last.kind === "exited" && last.exitCode, 137);
  });
});

test("a container whose conmon was killed is unknown once it has ended", async () => {
  await withOciRuntime(async (bed) => {
    const { id: sandboxId } = await bed.runtime.runPodSandbox(sandboxConfig, signal);
    const [stopped, created] = await Promise.all([make(bed, sandboxId, "stopped"), make(bed, sandboxId, "created")]);
    await bed.runtime.startContainer(stopped, signal);
    for (const id of [stopped, created])
      process.kill(Number(readFileSync(join(bed.runDir, "containers", id, "conmon.pid"), "utf8")), "SIGKILL");
    await bed.runtime.stopContainer(stopped, 0, signal);
    assert.equal((await bed.runtime.containerStatus(stopped)).state.kind, "unknown");
    assert.equal((await (await bed.reopen()).containerStatus(stopped)).state.kind, "unknown");
    await bed.runtime.removeContainer(created, signal);
    assert.ok(!existsSync(join(bed.runDir, "containers", created)));
  });
});

test("a container that goes on without its conmon is ended, and told of", async () => {
  await withOciRuntime(async (bed) => {
    const { id: sandboxId } = await bed.runtime.runPodSandbox(sandboxConfig, signal);
    const id = await make(bed, sandboxId, "main");
    await bed.runtime.startContainer(id, signal);
    const events = bed.runtime.events(signal)[Symbol.asyncIterator]();
    process.kill(Number(readFileSync(join(bed.runDir, "containers", id, "conmon.pid"), "utf8")), "SIGKILL");
    await eventually(async () => (await bed.runtime.containerStatus(id)).state.kind === "unknown", WITHIN);
    assert.equal((await events.next()).value?.containerId, id);
  });
});

test("after a reboot nothing runs and no sandbox is ready", async () => {
  await withOciRuntime(async (bed) => {
    const { id: sandboxId } = await bed.runtime.runPodSandbox({ ...sandboxConfig, shareProcessNamespace: true }, signal);
    const id = await make(bed, sandboxId, "main");
    await bed.runtime.startContainer(id, signal);
    setBootId(join(bed.runDir, "sandboxes", sandboxId, "sandbox.json"));
    setBootId(join(bed.runDir, "containers", id, "record.json"));
    const next = await bed.reopen();
    assert.equal((await next.containerStatus(id)).state.kind, "unknown");
    assert.equal((await next.listPodSandboxes())[0]?.state, "notready");
    await assert.rejects(next.createContainer(sandboxId, containerConfig(bed, { args: bed.argsToRun }), signal), (error) =>
      hasCode(error, "SANDBOX_NOT_FOUND"),
    );
  });
});

test("files that a dead engine left half-written are cleared up", async () => {
  await withOciRuntime(async (bed) => {
    for (const [folder, name] of [
      ["containers", "record.json"],
      ["sandboxes", "sandbox.json"],
    ] as const) {
      mkdirSync(join(bed.runDir, folder, "empty"));
      mkdirSync(join(bed.runDir, folder, "half"));
      writeFileSync(join(bed.runDir, folder, "half", `.${name}`), "{");
    }
    const next = await bed.reopen();
    assert.deepEqual([await next.listContainers(), await next.listPodSandboxes()], [[], []]);
    for (const folder of ["containers", "sandboxes"]) assert.deepEqual(readdirSync(join(bed.runDir, folder)), []);
  });
});

test("a new engine starts with what cannot be removed yet, and with what is mounted and lost its record", async (t) => {
  await withOciRuntime(async (bed) => {
    const [shm, busy] = [join(bed.runDir, "sandboxes/lost/shm"), join(bed.runDir, "containers/busy/in")];
    for (const path of [shm, busy]) {
      mkdirSync(path, { recursive: true });
      mount(path, { source: "tmpfs", type: "tmpfs" });
      t.after(() => void unmount(path)); // where the test fails
    }
    await nestFolders(shm, t.signal);
    const next = await bed.reopen();
    assert.deepEqual([await next.listContainers(), await next.listPodSandboxes()], [[], []]);
    assert.deepEqual(readdirSync(join(bed.runDir, "sandboxes")), []);
    unmount(busy);
    await bed.reopen();
    assert.deepEqual(readdirSync(join(bed.runDir, "containers")), []);
  });
});

test("an engine killed at any moment leaves only what the next one finds and can remove", async () => {
  await withOciRuntime(async (bed) => {
    for (let round = 0; round < 8; round += 1) {
      await killedEngine(bed, Math.random() * 150);
      const next = await bed.reopen();
      for (const { id, state, logPath } of await next.listContainers()) {
        assert.ok(["created", "running"].includes(state.kind), `${id} is ${state.kind}`);
        if (state.kind !== "running") continue;
        await eventually(() => readFileSync(`/proc/${state.pid}/cmdline`, "latin1").startsWith("sh\0"), WITHIN);
        await eventually(() => readFileSync(logPath, "utf8").includes("up"), WITHIN);
      }
      for (const { id } of await next.listPodSandboxes()) await next.removePodSandbox(id, signal);
      assert.deepEqual(await next.listContainers(), []);
      for (const folder of ["containers", "sandboxes", "exits", "runtime"])
        assert.deepEqual(readdirSync(join(bed.runDir, folder)), [], folder);
    }
  });
});

async function killedEngine(bed: OciTestBed, afterMs: number): Promise<void> {
  const program = fileURLToPath(new URL("crash-test-engine.ts", import.meta.url));
  const child = spawn(process.execPath, [program, bed.runDir, bed.engineId, bed.rootfsPath, bed.logDirectory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "exit");
  await once(child.stdout, "data");
  await delay(afterMs);
  child.kill("SIGKILL");
  await exit;
}

async function make({ runtime, ...bed }: OciTestBed, sandboxId: string, name: string): Promise<string> {
  return await runtime.createContainer(sandboxId, containerConfig(bed, { name, args: bed.argsToRun }), signal);
}

function pidOf({ runDir }: OciTestBed, id: string): number {
  return Number(readFileSync(join(runDir, "containers", id, "pid"), "utf8"));
}

function setBootId(path: string): void {
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), bootId: "another" }));
}

function sortById<T extends { readonly id: string }>(containers: readonly T[]): T[] {
  return containers.toSorted((a, b) => a.id.localeCompare(b.id));
}
