import assert from "node:assert/strict";
import { test } from "node:test";
import { crunDefect, crunObstacle, runtimeCandidates } from "./choose-runtime.ts";

const hybrid = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
const unified = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";

test("crunObstacle() is a hybrid machine whose v2 tree still owns a controller", () => {
  assert.equal(crunObstacle({ mounts: unified, unifiedControllers: "cpu memory pids" }), undefined);
  assert.equal(crunObstacle({ mounts: hybrid, unifiedControllers: "" }), undefined);
  assert.match(crunObstacle({ mounts: hybrid, unifiedControllers: "hugetlb\n" }) ?? "", /v2 still owns hugetlb/);
});

test("runtimeCandidates() names crun first where it works", () => {
  assert.deepEqual(runtimeCandidates({ mounts: unified, unifiedControllers: "cpu" }), ["crun", "runc"]);
  assert.deepEqual(runtimeCandidates({ mounts: hybrid, unifiedControllers: "hugetlb" }), ["runc"]);
});

test("crunDefect() passes over what is older than 1.9", () => {
  for (const version of ["crun version 1.9", "1.14.1", "crun version 2.0"]) assert.equal(crunDefect(version), undefined, version);
  for (const version of ["crun version 1.8.1", "0.17"]) assert.match(crunDefect(version) ?? "", /before 1\.9/, version);
});
