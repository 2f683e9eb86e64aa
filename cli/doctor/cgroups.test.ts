import assert from "node:assert/strict";
import { test } from "node:test";
import { describeCgroups, describeRuntime, parseCgroupMounts } from "./cgroups.ts";
import { judgeFirewalls } from "./network.ts";

const unified = parseCgroupMounts("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
const hybrid = parseCgroupMounts(
  "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup /x cgroup rw,pids 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
);

test("parseCgroupMounts() tells the modes apart", () => {
  assert.deepEqual(unified, { mode: "unified", v1Controllers: [], v2MountPoint: "/sys/fs/cgroup" });
  assert.deepEqual(hybrid, { mode: "hybrid", v1Controllers: ["cpu", "cpuacct", "memory", "pids"], v2MountPoint: "/sys/fs/cgroup/unified" });
  assert.equal(parseCgroupMounts("tmpfs / tmpfs rw 0 0\n").mode, "none");
});

test("describeCgroups() names controllers that are not there", () => {
  assert.equal(describeCgroups(hybrid, []).state, "ok");
  assert.match(describeCgroups(unified, ["cpu", "pids"]).found, /without memory/);
});

const both = { crun: "crun 1", runc: "runc 1" };
test("describeRuntime() takes crun where it works, and says why not where it does not", () => {
  assert.deepEqual(describeRuntime(unified, ["cpu", "memory", "pids"], both), { name: "OCI runtime", state: "ok", found: "crun 1" });
  assert.equal(describeRuntime(hybrid, [], both).found, "crun 1");
  const refused = describeRuntime(hybrid, ["hugetlb"], both);
  assert.equal(refused.state, "warn");
  assert.match(refused.found, /^runc 1; crun is faster, but refuses .* v2 still owns hugetlb$/);
  assert.equal(refused.mend, "mkdir -p /sys/fs/cgroup/hugetlb && mount -t cgroup -o hugetlb cgroup /sys/fs/cgroup/hugetlb");
  assert.equal(describeRuntime(hybrid, ["hugetlb"], { crun: "crun 1", runc: undefined }).state, "fail");
  assert.equal(describeRuntime(unified, [], { crun: undefined, runc: undefined }).state, "fail");
});

test("judgeFirewalls() names what drops forwarded packets, but for Docker's, which the engine passes", () => {
  const forward = { family: "ip", table: "filter", name: "FORWARD", hook: "forward", policy: "drop" };
  assert.deepEqual(judgeFirewalls([{ ...forward, policy: "accept" }]), []);
  assert.deepEqual(judgeFirewalls([forward, { family: "ip", table: "filter", name: "DOCKER-USER" }]), []);
  assert.equal(judgeFirewalls([forward])[0]?.name, "firewall");
  assert.equal(judgeFirewalls([forward, { family: "ip", table: "filter", name: "ufw-user-forward" }])[0]?.name, "ufw");
  assert.equal(judgeFirewalls([{ family: "inet", table: "firewalld", name: "filter_FORWARD" }])[0]?.name, "firewalld");
});
