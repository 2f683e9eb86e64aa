import assert from "node:assert/strict";
import { test } from "node:test";
import type { Container, Pod } from "@peapod/api";
import type { Image, ImageConfig } from "../../images/images.ts";
import type { ContainerConfig } from "../../runtime/runtime.ts";
import { containerConfig } from "./container-config.ts";

const image = (config: Partial<ImageConfig> = {}): Image => ({
  id: "sha256:abc",
  repoTags: [],
  repoDigests: [],
  sizeBytes: 0,
  createdAtMs: 0,
  config: {
    entrypoint: ["/entry"],
    cmd: ["serve"],
    env: ["PATH=/bin", "MODE=image"],
    user: "app",
    workingDir: "/srv",
    stopSignal: "SIGQUIT",
    volumes: ["/data"],
    ...config,
  },
});

function configOf(
  container: Partial<Container>,
  from = image(),
  variables: Record<string, string> = { MODE: "own", N: "1" },
): ContainerConfig {
  const full: Container = { name: "web", image: "app:1", ...container };
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", namespace: "default", uid: "u" },
    spec: { containers: [full] },
  };
  return containerConfig({
    pod,
    container: full,
    attempt: 2,
    image: from,
    specHash: "h",
    rootfsPath: "/rootfs",
    variables,
    mounts: [],
    logPath: "/log",
    nodeMemoryBytes: 1e9,
  });
}

const commands: { does: string; container: Partial<Container>; want: string[] }[] = [
  { does: "the image's entrypoint and command", container: {}, want: ["/entry", "serve"] },
  { does: "the container's command alone", container: { command: ["sh", "-c", "x"] }, want: ["sh", "-c", "x"] },
  { does: "the image's entrypoint with the container's arguments", container: { args: ["other"] }, want: ["/entry", "other"] },
  { does: "both of the container's", container: { command: ["a"], args: ["b"] }, want: ["a", "b"] },
  {
    does: "expanded variables, and others as they are written",
    container: { command: ["$(MODE)"], args: ["$(N)-$(PATH)-$$(N)"] },
    want: ["own", "1-$(PATH)-$(N)"],
  },
];

for (const { does, container, want } of commands) {
  test(`containerConfig() runs ${does}`, () => assert.deepEqual(configOf(container).args, want));
}

test("containerConfig() takes over the volumes that the image declares", () => assert.deepEqual(configOf({}).imageVolumes, ["/data"]));

test("containerConfig() refuses a container without any command", () => {
  assert.throws(() => configOf({}, image({ entrypoint: [], cmd: [] })), {
    code: "CONTAINER_CREATE_FAILED",
    message: "no command specified",
  });
});

test("containerConfig() puts the container's environment over the image's", () => {
  assert.deepEqual(configOf({}).env, ["PATH=/bin", "MODE=own", "N=1"]);
});

test("containerConfig() takes user, directory and stop signal from the image", () => {
  const { user, workingDir, stopSignal } = configOf({});
  assert.deepEqual([user, workingDir, stopSignal], ["app", "/srv", "SIGQUIT"]);
  assert.equal(configOf({ workingDir: "/own" }).workingDir, "/own");
  const bare = configOf({}, image({ user: "", workingDir: "", stopSignal: "" }));
  assert.deepEqual([bare.user, bare.workingDir, bare.stopSignal], ["", "/", "SIGTERM"]);
});

test("containerConfig() turns requests and limits into cgroup limits", () => {
  assert.deepEqual(configOf({ resources: { requests: { cpu: "250m" }, limits: { cpu: "500m", memory: "64Mi" } } }).resources, {
    cpuShares: 256,
    cpuQuotaUs: 50_000,
    cpuPeriodUs: 100_000,
    memoryLimitBytes: 64 * 1024 ** 2,
  });
  assert.deepEqual(configOf({}).resources, { cpuShares: 2 });
});
