import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../../../errors.ts";
import { cgroupHierarchies, confiningHierarchies, cpuWeight } from "./cgroups.ts";
import { cgroupLayout, crunObstacle, runtimeCandidates, unifiedMountPoint } from "./choose-runtime.ts";
import { isOnSharedMount, parseMountInfo } from "./mount-protection.ts";
import { cleanRuntimeError, explainLimit } from "./runtime-command.ts";
import { signalNumber } from "../spec/signals.ts";
import { sandboxSysctls } from "../sandbox/sysctls.ts";

const unified = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
const hybrid = [
  "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0",
  "cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0",
  "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
].join("\n");

test("runtimeCandidates() prefers crun but where v1 and v2 both own controllers", () => {
  assert.deepEqual(runtimeCandidates({ mounts: unified, unifiedControllers: "cpu memory\n" }), ["crun", "runc"]);
  assert.deepEqual(runtimeCandidates({ mounts: hybrid, unifiedControllers: "\n" }), ["crun", "runc"]);
  assert.deepEqual(runtimeCandidates({ mounts: hybrid, unifiedControllers: "hugetlb\n" }), ["runc"]);
  assert.match(crunObstacle({ mounts: hybrid, unifiedControllers: "hugetlb misc\n" }) ?? "", /v2 still owns hugetlb, misc/);
});

test("cgroupLayout() and unifiedMountPoint() read /proc/mounts", () => {
  assert.deepEqual(
    [cgroupLayout(unified), cgroupLayout(hybrid), cgroupLayout("cgroup /c cgroup rw,cpu 0 0\n")],
    ["unified", "hybrid", "legacy"],
  );
  assert.deepEqual(
    [unifiedMountPoint(unified), unifiedMountPoint(hybrid), unifiedMountPoint("")],
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", undefined],
  );
});

test("confiningHierarchies() are those in which a service manager holds the engine", () => {
  const paths = (own: string): string[] => confiningHierarchies(cgroupHierarchies(hybrid), own).map(({ mountPoint }) => mountPoint);
  assert.deepEqual(paths("4:cpu,cpuacct:/x\n1:name=systemd:/\n0::/\n"), []);
  assert.deepEqual(paths("1:name=systemd:/system.slice/a:b.service\n0::/system.slice/a:b.service\n"), [
    "/sys/fs/cgroup/systemd",
    "/sys/fs/cgroup/unified",
  ]);
});

test("cpuWeight() maps shares to the range of v2", () => {
  assert.deepEqual([2, 102, 1024, 262_144, 0].map(cpuWeight), [1, 4, 39, 10_000, 1]);
});

test("isOnSharedMount() looks at the innermost mount", () => {
  const mounts = parseMountInfo(
    [
      "22 1 8:1 / / rw shared:1 - ext4 /dev/a rw",
      "23 22 0:5 / /run rw - tmpfs tmpfs rw",
      "24 23 0:6 / /run/a\\040b rw shared:7 master:1 - tmpfs t rw",
    ].join("\n"),
  );
  assert.deepEqual(
    ["/var/lib", "/run", "/run/x", "/run/a b/x", "/runner"].map((path) => isOnSharedMount(mounts, path)),
    [true, false, false, true, true],
  );
});

test("signalNumber() knows names, numbers and real-time signals", () => {
  assert.deepEqual(["SIGTERM", "TERM", "sigquit", "9", "SIGRTMIN+3", "RTMAX-1", "SIGRTMIN"].map(signalNumber), [15, 15, 3, 9, 37, 63, 34]);
  for (const bad of ["", "SIGNOPE", "0", "65", "SIGRTMIN+31", "SIGRTMAX+1"])
    assert.throws(
      () => signalNumber(bad),
      (error) => hasCode(error, "CONTAINER_CONFIG_INVALID"),
      bad,
    );
});

test("sandboxSysctls() takes both spellings, and a pod's own value before the default", () => {
  const paths = (wanted: Record<string, string>): string[] =>
    sandboxSysctls(wanted).map(({ path, value }) => `${path.slice("/proc/sys/".length)}=${value}`);
  assert.deepEqual(paths({ "net/ipv4/ip_unprivileged_port_start": "80" }), [
    "net/ipv4/ping_group_range=0 2147483647",
    "net/ipv4/ip_unprivileged_port_start=80",
  ]);
  assert.deepEqual(paths({ "net.ipv4.ping_group_range": "1 0", "kernel.shm_rmid_forced": "1" }), [
    "net/ipv4/ip_unprivileged_port_start=0",
    "net/ipv4/ping_group_range=1 0",
    "kernel/shm_rmid_forced=1",
  ]);
});

test("explainLimit() names a limit of next to no memory, and leaves every other failure as it is", () => {
  const said = "mkdir /sys/fs/cgroup/memory/a/b: cannot allocate memory";
  assert.equal(explainLimit(said, 1), `its memory limit of 1 byte is too low for any program (${said})`);
  for (const limit of [undefined, 64 * 1024 * 1024]) assert.equal(explainLimit(said, limit), said);
  assert.equal(explainLimit("chdir to cwd: no such file", 1), "chdir to cwd: no such file");
});

test("cleanRuntimeError() finds what the runtime wanted to say", () => {
  const said = 'unable to start container process: exec: "foo": executable file not found in $PATH';
  const json = `${JSON.stringify({ level: "warning", msg: "meh" })}\n${JSON.stringify({ level: "error", msg: `runc create failed: ${said}` })}\n`;
  const logfmt = `time="2026-01-02T03:04:05Z" level=error msg=${JSON.stringify(`runc create failed: ${said}`)}\n`;
  assert.deepEqual([json, logfmt, said, `exec failed: ${said}\n`, ""].map(cleanRuntimeError), [
    said,
    said,
    said,
    `exec failed: ${said}`,
    "",
  ]);
});
