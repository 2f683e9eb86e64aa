import assert from "node:assert/strict";
import { test } from "node:test";
import { cgroupFacts, describeCgroups, describeRuntime } from "./cgroups.ts";

const unifiedMounts = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
const hybridMounts =
  "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup /x cgroup rw,pids 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
const unified = cgroupFacts(unifiedMounts, "cpu memory pids\n");
const hybrid = cgroupFacts(hybridMounts, "hugetlb\n");

test("cgroupFacts() tells the layouts apart", () => {
  assert.deepEqual(unified, { layout: "unified", v1Controllers: [], v2Controllers: ["cpu", "memory", "pids"] });
  assert.deepEqual(hybrid, { layout: "hybrid", v1Controllers: ["cpu", "cpuacct", "memory", "pids"], v2Controllers: ["hugetlb"] });
  assert.equal(cgroupFacts("tmpfs / tmpfs rw 0 0\n", "").layout, "none");
});

test("describeCgroups() names controllers that are not there", () => {
  assert.equal(describeCgroups(hybrid).state, "ok");
  assert.match(describeCgroups(cgroupFacts(unifiedMounts, "cpu pids")).found, /without memory/);
  assert.equal(describeCgroups(cgroupFacts("", "")).state, "fail");
});

const both = { crun: "crun version 1.14.1", runc: "runc 1" };
test("describeRuntime() takes crun where it works, and says why not where it does not", () => {
  assert.deepEqual(describeRuntime(unified, undefined, both), { name: "OCI runtime", state: "ok", found: "crun version 1.14.1" });
  assert.match(
    describeRuntime(unified, undefined, { ...both, crun: "crun version 1.8.1" }).found,
    /^runc 1; crun is faster, but before 1\.9/,
  );
  const refused = describeRuntime(hybrid, "v2 still owns hugetlb", both);
  assert.equal(refused.state, "warn");
  assert.match(refused.found, /^runc 1; crun is faster, but refuses .* v2 still owns hugetlb$/);
  assert.equal(refused.mend, "mkdir -p /sys/fs/cgroup/hugetlb && mount -t cgroup -o hugetlb cgroup /sys/fs/cgroup/hugetlb");
  assert.equal(describeRuntime(hybrid, "x", { crun: "crun version 1.14.1", runc: undefined }).state, "fail");
  assert.equal(describeRuntime(unified, undefined, { crun: undefined, runc: undefined }).state, "fail");
});
