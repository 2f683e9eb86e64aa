import { readFile } from "node:fs/promises";
import { cgroupLayout, type CgroupLayout, crunDefect, crunObstacle, unifiedMountPoint } from "../runtime/oci/machine/choose-runtime.ts";
import { type Check, type Finding, lacks, ok } from "./check.ts";
import { versionOf } from "./programs.ts";

/** What a machine's cgroups are like. */
export interface CgroupFacts {
  readonly layout: CgroupLayout | "none";
  /** Controllers mounted as v1, by name. */
  readonly v1Controllers: readonly string[];
  /** Controllers that the v2 tree owns. */
  readonly v2Controllers: readonly string[];
}

const wanted = ["cpu", "memory", "pids"];
const known = [
  "blkio",
  "cpu",
  "cpuacct",
  "cpuset",
  "devices",
  "freezer",
  "hugetlb",
  "memory",
  "net_cls",
  "net_prio",
  "perf_event",
  "pids",
  "rdma",
  "misc",
];

/** Which cgroups there are, and which OCI runtime works with them. */
export const checkCgroups: Check = async ({ signal }) => {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  const v2MountPoint = unifiedMountPoint(mounts);
  const unifiedControllers = v2MountPoint === undefined ? "" : await readFile(`${v2MountPoint}/cgroup.controllers`, "utf8").catch(() => ""); // not there: it owns none
  const [crun, runc] = await Promise.all([versionOf("crun", ["--version"], signal), versionOf("runc", ["--version"], signal)]);
  const facts = cgroupFacts(mounts, unifiedControllers);
  return [describeCgroups(facts), describeRuntime(facts, crunObstacle({ mounts, unifiedControllers }), { crun, runc })];
};

/** From the texts of /proc/self/mounts and of the v2 tree's `cgroup.controllers`. */
export function cgroupFacts(mounts: string, unifiedControllers: string): CgroupFacts {
  const lines = mounts.split("\n").map((line) => line.split(" "));
  const v1 = lines.filter(([, , type]) => type === "cgroup").flatMap(([, , , options]) => (options ?? "").split(","));
  const isThere = lines.some(([, , type]) => type === "cgroup" || type === "cgroup2");
  return {
    layout: isThere ? cgroupLayout(mounts) : "none",
    v1Controllers: [...new Set(v1.filter((option) => known.includes(option)))],
    v2Controllers: unifiedControllers.split(/\s+/).filter((name) => name !== ""),
  };
}

/** Whether limits on CPU, memory and processes can be set. */
export function describeCgroups({ layout, v1Controllers, v2Controllers }: CgroupFacts): Finding {
  const names = { unified: "v2", hybrid: "v1, with a v2 tree beside it (hybrid)", legacy: "v1" };
  if (layout === "none") return lacks("fail", "cgroups", "none are mounted", "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
  const missing = wanted.filter((name) => !v1Controllers.includes(name) && !v2Controllers.includes(name));
  if (missing.length === 0) return ok("cgroups", names[layout]);
  const found = `${names[layout]}, without ${missing.join(", ")}: such limits have no effect`;
  return lacks("warn", "cgroups", found, "add cgroup_enable=memory to the kernel's command line, or mount the controller");
}

/** Which OCI runtime the engine takes, and why not the faster one. `obstacle`: why crun cannot work here. */
export function describeRuntime(
  { v2Controllers }: CgroupFacts,
  obstacle: string | undefined,
  { crun, runc }: { crun: string | undefined; runc: string | undefined },
): Finding {
  const name = "OCI runtime";
  const defect = crun === undefined ? undefined : crunDefect(crun);
  if (crun !== undefined && obstacle === undefined && (defect === undefined || runc === undefined)) return ok(name, crun);
  if (runc === undefined) {
    const found = crun === undefined ? "neither crun nor runc is there" : "crun does not work on this machine, and runc is not there";
    return lacks("fail", name, found, "apt-get install runc");
  }
  if (defect !== undefined) return ok(name, `${runc}; crun is faster, but ${defect}`);
  if (obstacle === undefined) return lacks("warn", name, `${runc}; crun would start containers faster`, "apt-get install crun");
  const mend = v2Controllers
    .map((controller) => `mkdir -p /sys/fs/cgroup/${controller} && mount -t cgroup -o ${controller} cgroup /sys/fs/cgroup/${controller}`)
    .join(" && ");
  return lacks("warn", name, `${runc}; crun is faster, but refuses this machine: ${obstacle}`, mend);
}
