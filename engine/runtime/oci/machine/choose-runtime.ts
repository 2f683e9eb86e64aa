/** What decides which OCI runtime works on a machine. */
export interface CgroupFacts {
  /** The text of /proc/mounts. */
  readonly mounts: string;
  /** The text of `cgroup.controllers` at the v2 mount; "" where there is none. */
  readonly unifiedControllers: string;
}

/** `unified` is v2 alone; `hybrid` has v1 controllers and a v2 tree beside them. */
export type CgroupLayout = "unified" | "hybrid" | "legacy";

/** How this machine's cgroups are mounted, from the text of /proc/mounts. */
export function cgroupLayout(mounts: string): CgroupLayout {
  const types = mounts.split("\n").map((line) => line.split(" ")[2]);
  if (!types.includes("cgroup2")) return "legacy";
  return types.includes("cgroup") ? "hybrid" : "unified";
}

/** The mount point of the v2 tree, from the text of /proc/mounts; undefined where there is none. */
export function unifiedMountPoint(mounts: string): string | undefined {
  for (const line of mounts.split("\n")) {
    const [, path, type] = line.split(" ");
    if (type === "cgroup2") return path;
  }
  return undefined;
}

/** Tells why crun cannot work here: it refuses a hybrid machine whose v2 tree still owns a controller. Undefined where it can. */
export function crunObstacle(facts: CgroupFacts): string | undefined {
  if (cgroupLayout(facts.mounts) !== "hybrid") return undefined;
  const owned = facts.unifiedControllers.split(/\s+/).filter((name) => name !== "");
  if (owned.length === 0) return undefined;
  return `cgroup v1 and v2 are both mounted and v2 still owns ${owned.join(", ")}`;
}

/** The runtimes to try, best first: crun where it works, else runc. */
export function runtimeCandidates(facts: CgroupFacts): readonly ("crun" | "runc")[] {
  return crunObstacle(facts) === undefined ? ["crun", "runc"] : ["runc"];
}

/**
 * Tells why a crun that could run here is passed over, from the first line of its `--version`: 1.8.1, Debian 12's, loses output of short commands
 * with a terminal and does not pass a changed window size on. Undefined where nothing speaks against it.
 */
export function crunDefect(versionLine: string): string | undefined {
  const [, major = "0", minor = "0"] = /(\d+)\.(\d+)/.exec(versionLine) ?? [];
  const isOld = Number(major) < OLDEST_CRUN.major || (Number(major) === OLDEST_CRUN.major && Number(minor) < OLDEST_CRUN.minor);
  return isOld ? `before ${OLDEST_CRUN.major}.${OLDEST_CRUN.minor} it loses output of commands with a terminal` : undefined;
}

const OLDEST_CRUN = { major: 1, minor: 9 };
