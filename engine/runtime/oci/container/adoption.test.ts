import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { eventually, Scope } from "@peapod/kit";
import { hasCode } from "../../../errors.ts";
import { mount, unmount } from "../../../linux/libc.ts";
import { nestFolders } from "../../../linux/nested-folders.fixture.ts";
import { collect, containerConfig, sandboxConfig } from "../../runtime.conformance.ts";
import { type OciTestBed, withOciRuntime } from "../oci-test-bed.fixture.ts";
import { Gatekeeper } from "../monitor/gatekeeper.ts";
import { identifyHeld } from "../monitor/held-process.ts";
import { openStartGate, startGatePath } from "../monitor/start-gate.ts";

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

test("a start that an engine died in is seen through, and runs once", async () => {
  await withOciRuntime(async (bed) => {
    const { id: sandboxId } = await bed.runtime.runPodSandbox(sandboxConfig, signal);
    const mounts = [{ hostPath: bed.logDirectory, containerPath: "/out", readonly: false }];
    const decided = (id: string): void => writeFileSync(join(bed.runDir, "containers", id, "started.json"), String(Date.now()));
    await using gatekeeper = new Gatekeeper("/bin/sh");
    // As it is opened by an engine that then does nothing more.
    const opened = (id: string): void => {
      decided(id);
      const path = startGatePath(join(bed.runDir, "runtime"), id);
      const held = identifyHeld(pidOf(bed, id)) ?? assert.fail("nobody waits at the gate");
      assert.ok(openStartGate({ path, held, gatekeeper }));
    };
    // What an engine had done when it was killed, from the first step to the last.
    const deaths: Record<string, (id: string) => void | Promise<void>> = {
      undecided: () => {},
      decided,
      opened,
      read: async (id) => {
        opened(id);
        await eventually(() => existsSync(join(bed.logDirectory, "read")), WITHIN);
      },
    };
    const ids = await Promise.all(
      Object.entries(deaths).map(async ([name, die]) => {
        const args = ["sh", "-c", `trap 'exit 42' TERM; echo RUN >> /out/${name}; while :; do sleep 1000 & wait; done`];
        const id = await bed.runtime.createContainer(sandboxId, containerConfig(bed, { name, args, mounts }), signal);
        await die(id);
        return id;
      }),
    );
    const next = await bed.reopen();
    for (const [index, name] of Object.keys(deaths).entries()) {
      const id = ids[index] ?? "";
      const isUndecided = name === "undecided";
      assert.equal((await next.containerStatus(id)).state.kind, isUndecided ? "created" : "running", name);
      if (isUndecided) continue;
      await eventually(() => existsSync(join(bed.logDirectory, name)), WITHIN);
      await next.stopContainer(id, 10, signal);
      const { state } = await next.containerStatus(id);
      assert.equal(state.kind === "exited" && state.exitCode, 42, name);
      assert.equal(readFileSync(join(bed.logDirectory, name), "utf8"), "RUN\n", name);
      assert.equal(bed.log(name), "", name);
    }
    assert.equal(existsSync(join(bed.logDirectory, "undecided")), false);
  });
});

test("an engine that ends waits for a container which it let go to have begun", async () => {
  await withOciRuntime(async (bed) => {
    const { id: sandboxId } = await bed.runtime.runPodSandbox(sandboxConfig, signal);
    const scope = new Scope();
    const ending = await bed.reopen({ scope });
    const args = ["sh", "-c", "exit 42"];
    const id = await ending.createContainer(sandboxId, containerConfig(bed, { name: "late", args }), signal);
    process.kill(pidOf(bed, id), "SIGSTOP"); // as on a machine that has no time for it
    await ending.startContainer(id, signal);
    let hasEnded = false;
    const ended = scope[Symbol.asyncDispose]().then(() => (hasEnded = true));
    await delay(200); // longer than it takes when there is nothing to wait for
    assert.equal(hasEnded, false);
    process.kill(pidOf(bed, id), "SIGCONT");
    await ended;
    const next = await bed.reopen();
    await eventually(async () => assert.equal((await next.containerStatus(id)).state.kind, "exited"), WITHIN);
    const { state } = await next.containerStatus(id);
    assert.equal(state.kind === "exited" && state.exitCode, 42);
  });
});

test("the commands and files of an exec whose engine died are ended and removed, and nothing else", async () => {
  await withOciRuntime(async (bed) => {
    const { id: sandboxId } = await bed.runtime.runPodSandbox(sandboxConfig, signal);
    const id = await make(bed, sandboxId, "main");
    await bed.runtime.startContainer(id, signal);
    await Promise.all(
      ["piped", "terminal"].map(async (name) => {
        const command = ["sh", "-c", `touch /ready-${name}; sleep 7654 & sleep 7654`];
        const session = await bed.runtime.exec(id, { command, tty: name === "terminal", stdin: false }, signal);
        await Promise.race([eventually(() => existsSync(join(bed.rootfsPath, `ready-${name}`)), WITHIN), session.exitCode]);
      }),
    );
    const bundle = join(bed.runDir, "containers", id);
    const files = (): string[] => readdirSync(bundle).filter((name) => name.startsWith("exec-"));
    await eventually(() => files().filter((name) => name.endsWith(".pid")).length === 2, WITHIN);
    const next = await bed.reopen(); // as a new engine finds them, though this one still lives
    assert.deepEqual(files(), []);
    const session = await next.exec(id, { command: ["ps"], tty: false, stdin: false }, signal);
    const listing = await collect(session.stdout);
    assert.doesNotMatch(listing, /7654/);
    assert.match(listing, /sleep 1000/);
    assert.equal((await next.containerStatus(id)).state.kind, "running");
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
    const [memory, busy] = [join(bed.runDir, "sandboxes/lost/memory"), join(bed.runDir, "containers/busy/in")];
    for (const path of [memory, busy]) {
      mkdirSync(path, { recursive: true });
      mount(path, { source: "tmpfs", type: "tmpfs" });
      t.after(() => void unmount(path)); // where the test fails
    }
    await nestFolders(memory, t.signal);
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
    const ranPath = join(bed.logDirectory, "ran");
    for (let round = 0; round < 12; round += 1) {
      await killedEngine(bed, Math.random() * 150);
      const next = await bed.reopen();
      const running = new Set<string>();
      for (const { id, state, logPath, pod, name } of await next.listContainers()) {
        if (isBeingRemoved(pod.uid)) continue;
        assert.ok(["created", "running"].includes(state.kind), `${id} is ${state.kind}`);
        if (state.kind !== "running") continue;
        await eventually(() => readFileSync(`/proc/${state.pid}/cmdline`, "latin1").startsWith("sh\0"), WITHIN);
        await eventually(() => readFileSync(logPath, "utf8").includes("up"), WITHIN);
        running.add(`${pod.uid}-${name}`);
      }
      // What the machine saw of them: each program wrote its name once when it ran.
      const ran = existsSync(ranPath) ? readFileSync(ranPath, "utf8").split("\n").filter(Boolean) : [];
      assert.equal(new Set(ran).size, ran.length, "one ran twice");
      const lastPods = new Set((await next.listPodSandboxes()).map(({ pod }) => pod.uid));
      const living = ran.filter((name) => {
        const uid = name.replace(/-[ab]$/, "");
        return lastPods.has(uid) && !isBeingRemoved(uid);
      });
      assert.deepEqual(new Set(living), running, "what ran is what is said to run");
      for (const { id } of await next.listPodSandboxes()) await next.removePodSandbox(id, signal);
      assert.deepEqual(await next.listContainers(), []);
      rmSync(ranPath, { force: true });
      for (const folder of ["containers", "sandboxes", "exits", "runtime"])
        assert.deepEqual(readdirSync(join(bed.runDir, folder)), [], folder);
    }
  });
});

/** Whether the engine that is killed removes a pod after it made it: then it may be half gone. */
function isBeingRemoved(uid: string): boolean {
  return Number(uid.split("-")[1]) % 3 === 2;
}

async function killedEngine(bed: OciTestBed, afterMs: number): Promise<void> {
  const program = fileURLToPath(new URL("crash-test-engine.fixture.ts", import.meta.url));
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
