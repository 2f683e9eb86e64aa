import { readFile } from "node:fs/promises";
import { type Check, type Finding, lacks, ok } from "./check.ts";
import { versionOf } from "./programs.ts";

/** What a machine's cgroups are like. `unified` is v2 alone; `hybrid` has v1 hierarchies and a v2 tree. */
export interface CgroupLayout {
  readonly mode: "unified" | "hybrid" | "legacy" | "none";
  /** Controllers mounted as v1, by name. */
  readonly v1Controllers: readonly string[];
  readonly v2MountPoint: string | undefined;
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
  const layout = parseCgroupMounts(await readFile("/proc/self/mounts", "utf8"));
  const v2Text =
    layout.v2MountPoint === undefined ? "" : await readFile(`${layout.v2MountPoint}/cgroup.controllers`, "utf8").catch(() => ""); // not there: it owns none
  const v2Controllers = v2Text.split(/\s+/).filter((name) => name !== "");
  const [crun, runc] = await Promise.all([versionOf("crun", ["--version"], signal), versionOf("runc", ["--version"], signal)]);
  return [describeCgroups(layout, v2Controllers), describeRuntime(layout, v2Controllers, { crun, runc })];
};

/** Reads the text of /proc/self/mounts. */
export function parseCgroupMounts(text: string): CgroupLayout {
  const mounts = text.split("\n").map((line) => line.split(" "));
  const v1 = mounts.filter(([, , type]) => type === "cgroup").flatMap(([, , , options]) => (options ?? "").split(","));
  const v1Controllers = [...new Set(v1.filter((option) => known.includes(option)))];
  const v2MountPoint = mounts.find(([, , type]) => type === "cgroup2")?.[1];
  const hasV1 = mounts.some(([, , type]) => type === "cgroup");
  const mode = v2MountPoint === undefined ? (hasV1 ? "legacy" : "none") : hasV1 ? "hybrid" : "unified";
  return { mode, v1Controllers, v2MountPoint };
}

/** Whether limits on CPU, memory and processes can be set. */
export function describeCgroups({ mode, v1Controllers }: CgroupLayout, v2Controllers: readonly string[]): Finding {
  const names = { unified: "v2", hybrid: "v1, with a v2 tree beside it (hybrid)", legacy: "v1", none: "none" };
  if (mode === "none") return lacks("fail", "cgroups", "none are mounted", "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
  const missing = wanted.filter((name) => !v1Controllers.includes(name) && !v2Controllers.includes(name));
  if (missing.length === 0) return ok("cgroups", names[mode]);
  return lacks(
    "warn",
    "cgroups",
    `${names[mode]}, without ${missing.join(", ")}: such limits have no effect`,
    "add cgroup_enable=memory to the kernel's command line, or mount the controller",
  );
}

/** Which OCI runtime the engine takes, and why not the faster one. */
export function describeRuntime(
  { mode }: CgroupLayout,
  v2Controllers: readonly string[],
  { crun, runc }: { crun: string | undefined; runc: string | undefined },
): Finding {
  const name = "OCI runtime";
  const owned = mode === "hybrid" ? v2Controllers : [];
  const refuses = owned.length > 0;
  if (crun !== undefined && !refuses) return ok(name, crun);
  if (runc === undefined)
    return lacks(
      "fail",
      name,
      crun === undefined ? "neither crun nor runc is there" : "crun does not work on this machine, and runc is not there",
      "apt-get install runc",
    );
  if (crun === undefined && !refuses) return lacks("warn", name, `${runc}; crun would start containers faster`, "apt-get install crun");
  const mend = owned
    .map((controller) => `mkdir -p /sys/fs/cgroup/${controller} && mount -t cgroup -o ${controller} cgroup /sys/fs/cgroup/${controller}`)
    .join(" && ");
  return lacks(
    "warn",
    name,
    `${runc}; crun is faster, but refuses this machine: v1 and v2 are both mounted, and v2 still owns ${owned.join(", ")}`,
    mend,
  );
}
