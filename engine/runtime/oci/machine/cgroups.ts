import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync, existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { delay, isErrno } from "@peapod/kit";
import type { LinuxResources } from "../../runtime.ts";
import { cgroupLayout } from "./choose-runtime.ts";

/** One mounted tree of cgroups. */
export interface CgroupHierarchy {
  readonly mountPoint: string;
  readonly version: 1 | 2;
  /** v1: what is mounted here, `name=systemd` too. */
  readonly controllers: readonly string[];
}

/** The mounted hierarchies, from the text of /proc/mounts. */
export function cgroupHierarchies(mounts: string): CgroupHierarchy[] {
  const found = new Map<string, CgroupHierarchy>();
  for (const line of mounts.split("\n")) {
    const [, mountPoint = "", type, options = ""] = line.split(" ");
    if (type === "cgroup2") found.set(mountPoint, { mountPoint, version: 2, controllers: [] });
    if (type === "cgroup") found.set(mountPoint, { mountPoint, version: 1, controllers: options.split(",") });
  }
  return [...found.values()];
}

/** The weight of cgroup v2 for shares of v1, as runc 1.1 and the kubelet reckon it. */
export function cpuWeight(shares: number): number {
  return Math.max(1, Math.min(10_000, 1 + Math.floor(((shares - 2) * 9999) / 262_142)));
}

const KILL_WITHIN_MS = 5_000;

/** How many processes and threads there may be. */
export interface PidsLimits {
  /** In one pod, where it asks for none of its own. */
  readonly pod: number | "max";
  /** In all pods together. */
  readonly total: number | "max";
}

/**
 * The engine's own cgroups, in every hierarchy: `/peapod-ID`, a pod's `podUID` below it with its limits, and below that one for each
 * container, which the OCI runtime makes and the kernel charges. The path is the same in each hierarchy.
 */
export class Cgroups {
  readonly version: 1 | 2;
  readonly #hierarchies: readonly CgroupHierarchy[];
  readonly #root: string;
  readonly #pidsLimits: PidsLimits;
  /** Where the engine itself stands, below which a monitor must not stay: stopping the engine's unit would end it. */
  readonly #monitorHierarchies: readonly CgroupHierarchy[];

  constructor(engineId: string, pidsLimits: PidsLimits) {
    this.#pidsLimits = pidsLimits;
    const mounts = readFileSync("/proc/mounts", "utf8");
    this.#hierarchies = cgroupHierarchies(mounts);
    this.version = cgroupLayout(mounts) === "unified" ? 2 : 1;
    this.#root = `/peapod-${engineId}`;
    this.#monitorHierarchies = confiningHierarchies(this.#hierarchies, readFileSync("/proc/self/cgroup", "utf8"));
  }

  /** A pod's cgroup, from the root of each hierarchy. */
  podPath(podUid: string): string {
    return `${this.#root}/pod${podUid}`;
  }

  /** Makes a pod's cgroup and sets its limits, and those of all pods. Safe to repeat. */
  createPod(podUid: string, resources: LinuxResources): void {
    const path = this.podPath(podUid);
    for (const hierarchy of this.#hierarchies) {
      if (hierarchy.version === 2 && this.version === 1) continue;
      const wanted = hierarchy.version === 2 ? limitsV2(resources) : limitsV1(resources, hierarchy.controllers);
      if (hierarchy.version === 2) this.#delegate(hierarchy, path);
      else if (wanted.length === 0 && !hierarchy.controllers.includes("pids")) continue;
      else mkdirSync(join(hierarchy.mountPoint, path), { recursive: true });
      for (const [file, value] of wanted) writeFileSync(join(hierarchy.mountPoint, path, file), value);
      limitPids(join(hierarchy.mountPoint, this.#root), this.#pidsLimits.total);
      limitPids(join(hierarchy.mountPoint, path), resources.pidsLimit ?? this.#pidsLimits.pod);
    }
  }

  /**
   * Moves a container's monitor out of the engine's cgroup. Does nothing where the engine stands at the root.
   * The kernel may wait tens of milliseconds for a grace period here, so it is not done on the main thread.
   */
  async adoptMonitor(pid: number): Promise<void> {
    for (const { mountPoint } of this.#monitorHierarchies) {
      const path = join(mountPoint, this.#root, "monitors");
      mkdirSync(path, { recursive: true });
      try {
        await writeFile(join(path, "cgroup.procs"), String(pid));
      } catch (cause) {
        if (!isErrno(cause, "ESRCH")) throw cause; // it has died already: its own error says more
      }
    }
  }

  /** True where every monitor must be moved before it forks. */
  get movesMonitors(): boolean {
    return this.#monitorHierarchies.length > 0;
  }

  /** The processes in a cgroup and below. */
  processes(path: string): number[] {
    const hierarchy = this.#hierarchies.find(({ mountPoint, version }) => version === this.version && existsSync(join(mountPoint, path)));
    return hierarchy === undefined ? [] : processesBelow(join(hierarchy.mountPoint, path));
  }

  /** How many processes the kernel has killed in a cgroup because its memory was used up. */
  countOomKills(path: string): number {
    const file = this.version === 2 ? "memory.events" : "memory.oom_control";
    const hierarchy = this.#hierarchies.find(
      ({ version, controllers }) => version === this.version && (version === 2 || controllers.includes("memory")),
    );
    if (hierarchy === undefined) return 0;
    try {
      const text = readFileSync(join(hierarchy.mountPoint, path, file), "utf8");
      return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
    } catch (cause) {
      if (isErrno(cause, "ENOENT", "ENODEV")) return 0;
      throw cause;
    }
  }

  /** Sends SIGKILL once to everything in a cgroup and below. */
  killOnce(path: string): void {
    this.#thaw(path);
    for (const pid of this.processes(path)) killQuietly(pid);
  }

  /** Kills everything in a cgroup and below, and waits until it is gone. */
  async killAll(path: string): Promise<void> {
    const deadline = performance.now() + KILL_WITHIN_MS;
    for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 50)) {
      this.#thaw(path);
      const pids = this.processes(path);
      if (pids.length === 0) return;
      if (performance.now() > deadline) throw new Error(`Processes ${pids.slice(0, 5).join(", ")} of cgroup ${path} do not end on SIGKILL`);
      for (const pid of pids) killQuietly(pid);
      await delay(waitMs);
    }
  }

  /** Removes a cgroup and all below it, in every hierarchy, once nothing runs there. Safe to repeat. */
  async remove(path: string): Promise<void> {
    const deadline = performance.now() + KILL_WITHIN_MS;
    for (const { mountPoint } of this.#hierarchies) {
      // The kernel may hold a cgroup for a moment after its last process is gone.
      for (let waitMs = 1; !removeTree(join(mountPoint, path)); waitMs = Math.min(waitMs * 2, 50)) {
        if (performance.now() > deadline) throw new Error(`Cannot remove cgroup ${join(mountPoint, path)}: it stays busy`);
        await delay(waitMs);
      }
    }
  }

  /** Removes the engine's root where no pod and no monitor is left in it; gives whether it is gone. */
  removeRootIfEmpty(): boolean {
    let gone = true;
    for (const { mountPoint } of this.#hierarchies) {
      const root = join(mountPoint, this.#root);
      removeEmpty(join(root, "monitors"));
      gone = removeEmpty(root) && gone;
    }
    return gone;
  }

  /** Lets what was frozen in a cgroup, above it (up to the engine's own) or below go on: in the v1 tree it does not even die before. */
  #thaw(path: string): void {
    const above: string[] = [];
    for (let parent = dirname(path); parent.startsWith(this.#root); parent = dirname(parent)) above.unshift(parent);
    for (const { mountPoint, version, controllers } of this.#hierarchies) {
      const thaw = (file: string, value: string): void => {
        for (const parent of above) writeIfThere(join(mountPoint, parent, file), value);
        writeBelow(join(mountPoint, path), file, value);
      };
      if (version === 2 && this.version === 2) thaw("cgroup.freeze", "0");
      if (controllers.includes("freezer")) thaw("freezer.state", "THAWED");
    }
  }

  /** Gives each level of the v2 tree the controllers that the next one's limits want. */
  #delegate({ mountPoint }: CgroupHierarchy, path: string): void {
    const available = readFileSync(join(mountPoint, "cgroup.controllers"), "utf8").trim().split(" ");
    const wanted = ["cpu", "memory", "pids", "cpuset"].filter((name) => available.includes(name)).map((name) => `+${name}`);
    mkdirSync(join(mountPoint, path), { recursive: true });
    for (const level of ["", this.#root, path]) writeFileSync(join(mountPoint, level, "cgroup.subtree_control"), wanted.join(" "));
  }
}

/** Those that a service manager ends processes by, v2 and name=systemd, where this process is not at the root; from /proc/self/cgroup. */
export function confiningHierarchies(hierarchies: readonly CgroupHierarchy[], ownCgroups: string): CgroupHierarchy[] {
  const lines = ownCgroups.split("\n").filter((line) => line !== "");
  const own = new Map(lines.map((line) => [line.split(":")[1] ?? "", line.split(":").slice(2).join(":")]));
  return hierarchies.filter(({ version, controllers }) => {
    const key = version === 2 ? "" : controllers.includes("name=systemd") ? "name=systemd" : undefined;
    return key !== undefined && (own.get(key) ?? "/") !== "/";
  });
}

/** Both versions have the same file, where the controller is there. */
function limitPids(path: string, limit: number | "max"): void {
  const file = join(path, "pids.max");
  if (existsSync(file)) writeFileSync(file, String(limit));
}

function limitsV1(resources: LinuxResources, controllers: readonly string[]): [string, string][] {
  const { cpuShares, cpuQuotaUs, cpuPeriodUs, memoryLimitBytes } = resources;
  const limits: [string, string][] = [];
  if (controllers.includes("cpu")) {
    if (cpuShares !== undefined) limits.push(["cpu.shares", String(cpuShares)]);
    if (cpuQuotaUs !== undefined)
      limits.push(["cpu.cfs_period_us", String(cpuPeriodUs ?? 100_000)], ["cpu.cfs_quota_us", String(cpuQuotaUs)]);
  }
  if (controllers.includes("memory") && memoryLimitBytes !== undefined) limits.push(["memory.limit_in_bytes", String(memoryLimitBytes)]);
  return limits;
}

function limitsV2(resources: LinuxResources): [string, string][] {
  const { cpuShares, cpuQuotaUs, cpuPeriodUs, memoryLimitBytes } = resources;
  const limits: [string, string][] = [];
  if (cpuShares !== undefined) limits.push(["cpu.weight", String(cpuWeight(cpuShares))]);
  if (cpuQuotaUs !== undefined) limits.push(["cpu.max", `${cpuQuotaUs} ${cpuPeriodUs ?? 100_000}`]);
  if (memoryLimitBytes !== undefined) limits.push(["memory.max", String(memoryLimitBytes)]);
  return limits;
}

function processesBelow(path: string): number[] {
  try {
    const own = readFileSync(join(path, "cgroup.procs"), "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map(Number);
    return [...own, ...childrenOf(path).flatMap((name) => processesBelow(join(path, name)))];
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ENODEV", "EOPNOTSUPP")) return [];
    throw cause;
  }
}

/** Writes a file of a cgroup and of every one below, from the top down. */
function writeBelow(path: string, file: string, value: string): void {
  if (writeIfThere(join(path, file), value)) for (const name of childrenOf(path)) writeBelow(join(path, name), file, value);
}

/** False where there is no such cgroup. */
function writeIfThere(path: string, value: string): boolean {
  try {
    writeFileSync(path, value, { flag: "r+" });
    return true;
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ENODEV")) return false;
    throw cause;
  }
}

function removeTree(path: string): boolean {
  return childrenOf(path).every((name) => removeTree(join(path, name))) && removeEmpty(path);
}

/** False where something is still in it. */
function removeEmpty(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return true;
    if (isErrno(cause, "EBUSY", "ENOTEMPTY")) return false;
    throw cause;
  }
}

function childrenOf(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return [];
    throw cause;
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (cause) {
    if (!isErrno(cause, "ESRCH")) throw cause;
  }
}
