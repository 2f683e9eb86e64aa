import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { hasCode } from "../errors.ts";
import type { ContainerConfig, ContainerRuntime, PodSandboxConfig } from "./runtime.ts";

/** An implementation under test, with what its containers need. */
export interface RuntimeUnderTest {
  readonly runtime: ContainerRuntime;
  readonly rootfsPath: string;
  /** An existing folder. */
  readonly logDirectory: string;
  /** Runs until its stop signal, and then ends. */
  readonly argsToRun: readonly string[];
  readonly argsToExit: (exitCode: number) => readonly string[];
  /** Copies its standard input to its output. */
  readonly argsToEcho: readonly string[];
}

const signal = AbortSignal.any([]);
const WITHIN = { withinMs: 5_000 };

/** What every ContainerRuntime promises; `withRuntime` opens a new, empty one and asserts that it leaves nothing behind. */
export function runtimeConformance(label: string, withRuntime: (use: (under: RuntimeUnderTest) => Promise<void>) => Promise<void>): void {
  const scenario = (does: string, use: (under: RuntimeUnderTest) => Promise<void>): void => {
    void test(`${label} ${does}`, { timeout: 30_000 }, () => withRuntime(use));
  };

  scenario("makes, stops and removes a sandbox, and all of it twice", async ({ runtime }) => {
    const made = await runtime.runPodSandbox(sandboxConfig, signal);
    assert.deepEqual(made.pod, sandboxConfig.pod);
    assert.equal(made.state, "ready");
    assert.deepEqual(await runtime.listPodSandboxes(), [made]);
    assert.deepEqual(await runtime.podSandboxStatus(made.id), made);
    for (let time = 0; time < 2; time += 1) {
      await runtime.stopPodSandbox(made.id, signal);
      assert.equal((await runtime.listPodSandboxes())[0]?.state, "notready");
      assert.equal((await runtime.podSandboxStatus(made.id)).state, "notready");
    }
    for (let time = 0; time < 2; time += 1) await runtime.removePodSandbox(made.id, signal);
    assert.deepEqual(await runtime.listPodSandboxes(), []);
  });

  scenario("takes a container from created through running to exited and away", async (under) => {
    const { runtime } = under;
    const { id: sandboxId } = await runtime.runPodSandbox(sandboxConfig, signal);
    const config = containerConfig(under, { args: under.argsToRun, attempt: 3 });
    const id = await runtime.createContainer(sandboxId, config, signal);
    const created = await runtime.containerStatus(id);
    assert.deepEqual(
      { ...created, createdAtMs: 0 },
      {
        id,
        sandboxId,
        pod: sandboxConfig.pod,
        name: "main",
        attempt: 3,
        image: "busybox:1",
        imageId: "sha256:1",
        specHash: "hash",
        logPath: config.logPath,
        createdAtMs: 0,
        state: { kind: "created" },
      },
    );
    await runtime.startContainer(id, signal);
    assert.equal((await runtime.containerStatus(id)).state.kind, "running");
    await runtime.stopContainer(id, 10, signal);
    await runtime.stopContainer(id, 10, signal);
    const { state } = await runtime.containerStatus(id);
    assert.ok(state.kind === "exited");
    assert.ok(state.startedAtMs >= created.createdAtMs && state.finishedAtMs >= state.startedAtMs);
    for (let time = 0; time < 2; time += 1) await runtime.removeContainer(id, signal);
    assert.deepEqual(await runtime.listContainers(), []);
  });

  scenario("tells of a container that ends by itself, with its exit code", async (under) => {
    const { runtime } = under;
    const listening = new AbortController();
    const events = runtime.events(listening.signal)[Symbol.asyncIterator]();
    const { id: sandboxId } = await runtime.runPodSandbox(sandboxConfig, signal);
    for (const exitCode of [0, 7]) {
      const id = await runtime.createContainer(sandboxId, containerConfig(under, { args: under.argsToExit(exitCode) }), signal);
      await runtime.startContainer(id, signal);
      const event = await events.next();
      assert.deepEqual(event.value, { containerId: id, podUid: sandboxConfig.pod.uid });
      const { state } = await runtime.containerStatus(id);
      assert.ok(state.kind === "exited");
      assert.equal(state.exitCode, exitCode);
      assert.equal(state.oomKilled, false);
    }
    listening.abort();
    assert.equal((await events.next()).done, true);
  });

  scenario("ends running containers with their sandbox", async (under) => {
    const { runtime } = under;
    const { id: sandboxId } = await runtime.runPodSandbox(sandboxConfig, signal);
    const ids = await Promise.all(
      ["a", "b"].map(
        async (name) => await runtime.createContainer(sandboxId, containerConfig(under, { name, args: under.argsToRun }), signal),
      ),
    );
    await runtime.startContainer(ids[0] ?? "", signal);
    await runtime.stopPodSandbox(sandboxId, signal);
    assert.ok((await runtime.listContainers()).every(({ state }) => state.kind === "exited"));
    await assert.rejects(
      runtime.createContainer(sandboxId, containerConfig(under, { args: under.argsToRun }), signal),
      isCode("SANDBOX_NOT_FOUND"),
    );
    await runtime.removePodSandbox(sandboxId, signal);
    assert.deepEqual(await runtime.listContainers(), []);
  });

  scenario("refuses what it does not know, and takes its removal for done", async (under) => {
    const { runtime } = under;
    await assert.rejects(runtime.containerStatus("none"), isCode("CONTAINER_NOT_FOUND"));
    await assert.rejects(runtime.podSandboxStatus("none"), isCode("SANDBOX_NOT_FOUND"));
    await assert.rejects(runtime.startContainer("none", signal), isCode("CONTAINER_NOT_FOUND"));
    await assert.rejects(
      runtime.createContainer("none", containerConfig(under, { args: under.argsToRun }), signal),
      isCode("SANDBOX_NOT_FOUND"),
    );
    await runtime.stopContainer("none", 1, signal);
    await runtime.removeContainer("none", signal);
    await runtime.stopPodSandbox("none", signal);
    await runtime.removePodSandbox("none", signal);
  });

  scenario("runs a further process in a container, fed by its standard input", async (under) => {
    const { runtime } = under;
    const { id: sandboxId } = await runtime.runPodSandbox(sandboxConfig, signal);
    const id = await runtime.createContainer(sandboxId, containerConfig(under, { args: under.argsToRun }), signal);
    await assert.rejects(
      runtime.exec(id, { command: under.argsToEcho, tty: false, stdin: true }, signal),
      "a created container runs nothing else",
    );
    await runtime.startContainer(id, signal);
    const session = await runtime.exec(id, { command: under.argsToEcho, tty: false, stdin: true }, signal);
    const said = collect(session.stdout);
    const complained = collect(session.stderr);
    await session.write(Buffer.from("hello "));
    await session.write(Buffer.from("there"));
    session.closeStdin();
    assert.deepEqual(await Promise.all([said, complained, session.exitCode]), ["hello there", "", 0]);
    await runtime.stopContainer(id, 0, signal);
    const { state } = await runtime.containerStatus(id);
    assert.ok(state.kind === "exited");
    assert.equal(state.exitCode, 137);
  });

  scenario("keeps the containers of one pod apart", async (under) => {
    const { runtime } = under;
    const { id: sandboxId } = await runtime.runPodSandbox(sandboxConfig, signal);
    const start = async (name: string, args: readonly string[]): Promise<string> => {
      const id = await runtime.createContainer(sandboxId, containerConfig(under, { name, args }), signal);
      await runtime.startContainer(id, signal);
      return id;
    };
    const [lives, ends] = await Promise.all([start("lives", under.argsToRun), start("ends", under.argsToExit(1))]);
    await eventually(async () => (await runtime.containerStatus(ends)).state.kind === "exited", WITHIN);
    assert.equal((await runtime.containerStatus(lives)).state.kind, "running");
    assert.equal((await runtime.listContainers()).length, 2);
  });
}

/** The sandbox that the suite makes; a test of one implementation may use it too. */
export const sandboxConfig: PodSandboxConfig = {
  pod: { name: "web", namespace: "default", uid: "0b1e2c3d-0000-4000-8000-000000000001" },
  attempt: 0,
  hostname: "web",
  shareProcessNamespace: false,
  resources: {},
  sysctls: {},
};

/** A container of the implementation under test. */
export function containerConfig(
  under: Pick<RuntimeUnderTest, "rootfsPath" | "logDirectory">,
  overrides: Partial<ContainerConfig>,
): ContainerConfig {
  const name = overrides.name ?? "main";
  return {
    name,
    attempt: 0,
    image: "busybox:1",
    imageId: "sha256:1",
    specHash: "hash",
    rootfsPath: under.rootfsPath,
    readonlyRootfs: false,
    args: [],
    workingDir: "/",
    env: [],
    user: "",
    mounts: [],
    imageVolumes: [],
    terminationMessagePath: "/dev/termination-log",
    resources: {},
    oomScoreAdj: 1000,
    stdin: false,
    tty: false,
    stopSignal: "SIGTERM",
    logPath: `${under.logDirectory}/${name}.log`,
    ...overrides,
  };
}

/** All of a stream as text. */
export async function collect(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

function isCode(code: Parameters<typeof hasCode>[1]): (error: unknown) => boolean {
  return (error) => hasCode(error, ...(code === undefined ? [] : [code]));
}
