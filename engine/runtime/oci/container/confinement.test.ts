import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { containerConfig, sandboxConfig } from "../../runtime.conformance.ts";
import { cgroupHierarchies } from "../machine/cgroups.ts";
import { type OciTestBed, withOciRuntime } from "../oci-test-bed.fixture.ts";

const signal = AbortSignal.any([]);

/** Numbers of system calls on amd64 and arm64. */
const calls = {
  unshare: [272, 97],
  mount: [165, 40],
  setns: [308, 268],
  clone: [56, 220],
  clone3: [435, 435],
  keyctl: [250, 219],
  add_key: [248, 217],
  request_key: [249, 218],
  io_uring_setup: [425, 425],
  bpf: [321, 280],
  socket: [41, 198],
  personality: [135, 92],
  getpid: [39, 172],
} as const;

const NEWUSER = 0x1000_0000;
const PERL = "/usr/bin/perl";
/** perl from the host: nothing of the test's root file system makes system calls by number. */
const perl = [
  { hostPath: "/usr", containerPath: "/usr", readonly: true },
  { hostPath: "/usr/lib", containerPath: "/lib", readonly: true },
  ...(existsSync("/usr/lib64") ? [{ hostPath: "/usr/lib64", containerPath: "/lib64", readonly: true }] : []),
];

test("a container has no way to namespaces, mounts, keyrings and io_uring", async () => {
  const tries: [name: keyof typeof calls, args: string, want: string][] = [
    ["unshare", String(NEWUSER), "EPERM"],
    ["mount", "0, 0, 0, 0, 0", "EPERM"],
    ["setns", "0, 0", "EPERM"],
    ["clone", `${NEWUSER} | 17, 0, 0, 0, 0`, "EPERM"],
    ["clone3", "0, 0", "ENOSYS"],
    ["keyctl", "0, -4, 1", "EPERM"],
    ["add_key", "0, 0, 0, 0, -4", "EPERM"],
    ["request_key", "0, 0, 0, -4", "EPERM"],
    ["io_uring_setup", "0, 0", "EPERM"],
    ["bpf", "0, 0, 0", "EPERM"],
    ["socket", "40, 1, 0", "EPERM"],
    ["socket", "2, 1, 0", "ok"],
    ["personality", "0xffffffff", "ok"],
    ["getpid", "", "ok"],
  ];
  const script = tries.map(
    ([name, args]) =>
      `$! = 0; $r = syscall(${calls[name][process.arch === "arm64" ? 1 : 0]}${args === "" ? "" : `, ${args}`}); print $r < 0 ? (sort grep { $!{$_} } ("EPERM", "ENOSYS", "EINVAL", "EFAULT"))[0] : "ok", "\\n";`,
  );
  await withOciRuntime(async (bed) => {
    const said = await outputOf(bed, [PERL, "-MErrno", "-e", script.join("\n")]);
    assert.deepEqual(
      said
        .trim()
        .split("\n")
        .map((got, index) => `${tries[index]?.[0]}(${tries[index]?.[1]}): ${got}`),
      tries.map(([name, args, want]) => `${name}(${args}): ${want}`),
    );
  });
});

test("a container sees its own cgroups alone, and cannot change them; it has a session keyring of its own", async () => {
  await withOciRuntime(async (bed) => {
    const script = [
      "cut -d: -f3 /proc/self/cgroup | sort -u",
      "for f in $(find /sys/fs/cgroup -name '*limit_in_bytes' -o -name cgroup.procs -o -name '*.max'); do (echo 1 > $f) 2>/dev/null && echo wrote $f; done",
      "echo done",
    ].join("\n");
    assert.equal(await outputOf(bed, ["sh", "-c", script]), "/\ndone\n");
    const { id: sandboxId } = await bed.runtime.runPodSandbox(sandboxConfig, signal);
    const id = await bed.runtime.createContainer(sandboxId, containerConfig(bed, { args: bed.argsToRun }), signal);
    await bed.runtime.startContainer(id, signal);
    assert.match(readFileSync("/proc/keys", "utf8"), new RegExp(`keyring +(_ses\\.)?${id}: `));
  });
});

test("a pod that forks without end comes to its limit of processes, and all pods together to theirs", async () => {
  await withOciRuntime(async (bed) => {
    const runtime = await bed.reopen({ pidsLimits: { pod: 20, total: 35 } });
    const args = ["sh", "-c", "(for a in 1 2 3 4 5 6; do for b in 1 2 3 4 5 6; do sleep 1000 & done; done); sleep 1000"];
    const pids = cgroupHierarchies(readFileSync("/proc/mounts", "utf8")).find(({ controllers }) => controllers.includes("pids"));
    const root = join(pids?.mountPoint ?? "/sys/fs/cgroup", `peapod-${bed.engineId}`);
    const count = (folder: string): number => Number(readFileSync(join(root, folder, "pids.current"), "utf8"));
    const uids = ["a", "b"];
    for (const uid of uids) {
      const pod = { ...sandboxConfig.pod, uid };
      const { id: sandboxId } = await runtime.runPodSandbox({ ...sandboxConfig, pod }, signal);
      const id = await runtime.createContainer(sandboxId, containerConfig(bed, { name: uid, args }), signal);
      await runtime.startContainer(id, signal);
    }
    await eventually(() => bed.log("a").includes("can't fork") && bed.log("b").includes("can't fork"), { withinMs: 10_000 });
    assert.ok(count("poda") <= 20 && count("") <= 35, `${count("poda")} and ${count("")}`);
    assert.deepEqual(
      ["poda", ""].map((folder) => readFileSync(join(root, folder, "pids.max"), "utf8")),
      ["20\n", "35\n"],
    );
  });
});

test("a frozen container is killed all the same, however deep or high it was frozen", async () => {
  await withOciRuntime(async (bed) => {
    const { id: sandboxId } = await bed.runtime.runPodSandbox(sandboxConfig, signal);
    const id = await bed.runtime.createContainer(sandboxId, containerConfig(bed, { args: bed.argsToRun }), signal);
    await bed.runtime.startContainer(id, signal);
    const { state } = await bed.runtime.containerStatus(id);
    assert.ok(state.kind === "running");
    const freezer = cgroupHierarchies(readFileSync("/proc/mounts", "utf8")).find(({ controllers }) => controllers.includes("freezer"));
    const path = join(freezer?.mountPoint ?? "/sys/fs/cgroup", `peapod-${bed.engineId}`, `pod${sandboxConfig.pod.uid}`, id);
    const below = join(path, "below");
    mkdirSync(below);
    writeFileSync(join(below, "cgroup.procs"), String(state.pid));
    const [file, frozen] = freezer === undefined ? ["cgroup.freeze", "1"] : ["freezer.state", "FROZEN"];
    for (const folder of [below, dirname(path), dirname(dirname(path))]) writeFileSync(join(folder, file), frozen);
    await bed.runtime.stopContainer(id, 0, signal);
    const after = await bed.runtime.containerStatus(id);
    assert.equal(after.state.kind === "exited" && after.state.exitCode, 137);
    rmdirSync(below);
  });
});

/** What a command in a container of its own says until it ends. */
async function outputOf(bed: OciTestBed, args: readonly string[]): Promise<string> {
  const { id: sandboxId } = await bed.runtime.runPodSandbox(sandboxConfig, signal);
  const id = await bed.runtime.createContainer(sandboxId, containerConfig(bed, { args, mounts: perl }), signal);
  const ended = bed.runtime.events(signal)[Symbol.asyncIterator]();
  await bed.runtime.startContainer(id, signal);
  while ((await bed.runtime.containerStatus(id)).state.kind === "running") await ended.next();
  await bed.runtime.removePodSandbox(sandboxId, signal);
  return bed
    .log()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => `${line.split(" ").slice(3).join(" ")}\n`)
    .join("");
}
