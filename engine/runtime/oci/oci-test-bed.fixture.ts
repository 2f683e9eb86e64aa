import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, Scope, silentLogger } from "@peapod/kit";
import type { RuntimeUnderTest } from "../runtime.conformance.ts";
import { cgroupHierarchies } from "./machine/cgroups.ts";
import { openOciRuntime, type OciRuntime, type OciRuntimeOptions } from "./oci-runtime.ts";

const applets = [
  "sh",
  "sleep",
  "echo",
  "cat",
  "ls",
  "id",
  "ps",
  "env",
  "stty",
  "kill",
  "touch",
  "hostname",
  "mount",
  "true",
  "dd",
  "grep",
  "pwd",
  "find",
  "cut",
  "sort",
  "mkdir",
];

/** An engine's runtime of a test's own, with busybox for a root file system. */
export interface OciTestBed extends RuntimeUnderTest {
  readonly runtime: OciRuntime;
  readonly runDir: string;
  readonly engineId: string;
  /** What a new engine process opens after this one died: the same directories. The old one stays open. */
  reopen(overrides?: Partial<OciRuntimeOptions>): Promise<OciRuntime>;
  /** What is on the container's log so far, as text. */
  log(name?: string): string;
}

/** Runs `use` with a new runtime, then removes every pod and asserts that no process, mount, cgroup or file is left. */
export async function withOciRuntime(use: (bed: OciTestBed) => Promise<void>): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), "peapod-oci-"));
  const engineId = `test${randomBytes(4).toString("hex")}`;
  const [runDir, rootfsPath, logDirectory] = [join(base, "run"), join(base, "rootfs"), join(base, "logs")];
  makeRootfs(rootfsPath);
  mkdirSync(logDirectory);
  const scope = new Scope();
  const reopen = async (overrides: Partial<OciRuntimeOptions> = {}): Promise<OciRuntime> =>
    await openOciRuntime({ runDir, engineId, scope, log: silentLogger, ...overrides });
  const facts = { runDir, engineId, rootfsPath, logDirectory, ...programs, reopen };
  try {
    const runtime = await reopen();
    await use({ ...facts, runtime, log: (name = "main") => readFileSync(join(logDirectory, `${name}.log`), "utf8") });
  } finally {
    const last = await reopen();
    for (const { id } of await last.listPodSandboxes()) await last.removePodSandbox(id, scope.signal);
    assert.ok(await last.removeIfEmpty(), "containers or sandboxes are left");
    await scope[Symbol.asyncDispose]();
    await assertNothingLeft(base, runDir, engineId);
    rmSync(base, { recursive: true });
  }
}

const programs: Pick<RuntimeUnderTest, "argsToRun" | "argsToExit" | "argsToEcho"> = {
  argsToRun: ["sh", "-c", "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 1000 & wait; done"],
  argsToExit: (exitCode) => ["sh", "-c", `exit ${exitCode}`],
  argsToEcho: ["cat"],
};

function makeRootfs(path: string): void {
  for (const name of ["bin", "etc", "tmp"]) mkdirSync(join(path, name), { recursive: true });
  cpSync("/bin/busybox", join(path, "bin/busybox"), { dereference: true });
  for (const applet of applets) symlinkSync("busybox", join(path, "bin", applet));
  writeFileSync(join(path, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001::/home/web:/bin/sh\n");
  writeFileSync(join(path, "etc/group"), "root:x:0:\nweb:x:1001:\nlogs:x:2000:web,other\n");
}

async function assertNothingLeft(base: string, runDir: string, engineId: string): Promise<void> {
  const mounts = readFileSync("/proc/mounts", "utf8");
  assert.deepEqual(
    mounts.split("\n").filter((line) => line.includes(base)),
    [],
    "mounts are left",
  );
  for (const { mountPoint } of cgroupHierarchies(mounts))
    assert.ok(!existsSync(join(mountPoint, `peapod-${engineId}`)), "a cgroup is left");
  assert.deepEqual(existsSync(runDir) ? readdirSync(runDir) : [], [], "files are left in the run directory");
  // conmon ends a moment after it wrote the exit code.
  await eventually(() => !execFileSync("ps", ["-eo", "args"], { encoding: "utf8" }).includes(base), { withinMs: 2_000 });
}
