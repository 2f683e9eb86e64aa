import assert from "node:assert/strict";
import { test } from "node:test";
import { containerConfig, runtimeConformance, sandboxConfig } from "../runtime.conformance.ts";
import { FakeRuntime } from "./fake-runtime.ts";

const places = { rootfsPath: "/fake/rootfs", logDirectory: "/fake/logs" };

runtimeConformance("FakeRuntime", async (use) =>
  use({
    ...places,
    runtime: new FakeRuntime(),
    argsToRun: ["run"],
    argsToExit: (exitCode) => ["exit", String(exitCode)],
    argsToEcho: ["cat"],
  }),
);

test("FakeRuntime fails a call when it is told to, once", async () => {
  const runtime = new FakeRuntime();
  runtime.failNext("runPodSandbox", new Error("It broke"));
  const signal = new AbortController().signal;
  await assert.rejects(runtime.runPodSandbox(sandboxConfig, signal), /It broke/);
  await runtime.runPodSandbox(sandboxConfig, signal);
});

test("FakeRuntime forgets how its containers ended in a reboot", async () => {
  const runtime = new FakeRuntime();
  const signal = new AbortController().signal;
  const { id } = await runtime.runPodSandbox(sandboxConfig, signal);
  const containerId = await runtime.createContainer(id, containerConfig(places, { args: ["run"] }), signal);
  await runtime.startContainer(containerId, signal);
  runtime.reboot();
  assert.equal((await runtime.containerStatus(containerId)).state.kind, "unknown");
  assert.equal((await runtime.listPodSandboxes())[0]?.state, "notready");
});
