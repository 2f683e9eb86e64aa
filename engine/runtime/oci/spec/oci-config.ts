import type { ContainerConfig, LinuxResources, Mount } from "../../runtime.ts";
import { defaultCapabilities, defaultPath, maskedPaths, readonlyPaths } from "./container-defaults.ts";
import type { OciMount, OciProcess, OciResources, OciSeccomp, OciSpec } from "./oci-spec.ts";
import type { ResolvedUser } from "./rootfs-user.ts";

/** Everything that decides a container's config.json. */
export interface OciConfigInput {
  readonly container: ContainerConfig;
  readonly user: ResolvedUser;
  readonly sandbox: SandboxPaths;
  /** From the cgroup root: /peapod-ab12/podUID/ID. */
  readonly cgroupsPath: string;
  readonly machine: MachineFacts;
  readonly seccomp: OciSeccomp | undefined;
}

/** What containers take from their sandbox. */
export interface SandboxPaths {
  readonly hostname: string;
  readonly net: string;
  readonly ipc: string;
  readonly uts: string;
  /** The pause process's; undefined: each container has its own. */
  readonly pid: string | undefined;
  readonly shm: string;
}

export interface MachineFacts {
  readonly cgroupVersion: 1 | 2;
  /** The lowest oom_score_adj that the engine may give; lower ones would fail the container. */
  readonly lowestOomScoreAdj: number;
  /** Whether runtime and kernel know `rro`, a read-only mount with all below it. */
  readonly recursiveReadonly: boolean;
}

/** A container's config.json. Pure. */
export function ociConfig({ container, user, sandbox, cgroupsPath, machine, seccomp }: OciConfigInput): OciSpec {
  const propagation = rootfsPropagation(container.mounts);
  return {
    ociVersion: "1.0.2",
    process: ociProcess(container, user, sandbox.hostname, machine),
    root: { path: container.rootfsPath, readonly: container.readonlyRootfs },
    mounts: [
      ...systemMounts(),
      bind(sandbox.shm, "/dev/shm", ["rw", "rprivate", "nosuid", "nodev", "noexec"]),
      ...[...container.mounts].sort(byDepth).map((mount) => volumeMount(mount, machine.recursiveReadonly)),
    ],
    linux: {
      namespaces: [
        { type: "mount" },
        { type: "network", path: sandbox.net },
        { type: "ipc", path: sandbox.ipc },
        { type: "uts", path: sandbox.uts },
        sandbox.pid === undefined ? { type: "pid" } : { type: "pid", path: sandbox.pid },
        { type: "cgroup" },
      ],
      cgroupsPath,
      resources: ociResources(container.resources, machine.cgroupVersion),
      maskedPaths,
      readonlyPaths,
      ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
      ...(seccomp === undefined ? {} : { seccomp }),
    },
  };
}

function ociProcess(container: ContainerConfig, user: ResolvedUser, hostname: string, machine: MachineFacts): OciProcess {
  return {
    terminal: container.tty,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
    args: container.args,
    env: withDefaults(container, user.home, hostname),
    cwd: container.workingDir === "" ? "/" : container.workingDir,
    capabilities: { bounding: defaultCapabilities, effective: defaultCapabilities, permitted: defaultCapabilities },
    noNewPrivileges: false,
    oomScoreAdj: Math.max(container.oomScoreAdj, machine.lowestOomScoreAdj),
  };
}

/** PATH, HOSTNAME, HOME and, with a terminal, TERM where the container sets none; the image's and the manifest's come after. */
function withDefaults(container: ContainerConfig, home: string, hostname: string): string[] {
  const names = new Set(container.env.map((entry) => entry.split("=", 1)[0]));
  const defaults = { PATH: defaultPath, HOSTNAME: hostname, ...(container.tty ? { TERM: "xterm" } : {}), HOME: home };
  const missing = Object.entries(defaults).filter(([name]) => !names.has(name));
  return [...missing.map(([name, value]) => `${name}=${value}`), ...container.env];
}

function systemMounts(): OciMount[] {
  return [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"] },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev", "relatime", "ro"] },
  ];
}

function volumeMount(mount: Mount, recursiveReadonly: boolean): OciMount {
  const access = mount.readonly ? ["ro", ...(recursiveReadonly ? ["rro"] : [])] : ["rw"];
  const propagation = mount.propagation ?? "private";
  return bind(mount.hostPath, mount.containerPath, [...access, propagation === "private" ? "rprivate" : propagation]);
}

function bind(source: string, destination: string, options: readonly string[]): OciMount {
  return { destination, type: "bind", source, options: ["rbind", ...options] };
}

/** A mount below another's path must come after it. */
function byDepth(a: Mount, b: Mount): number {
  return depth(a.containerPath) - depth(b.containerPath);
}

function depth(path: string): number {
  return path.split("/").filter((part) => part !== "").length;
}

/** Mounts can only come in or go out where the container's root lets them. */
function rootfsPropagation(mounts: readonly Mount[]): string | undefined {
  if (mounts.some(({ propagation }) => propagation === "rshared")) return "rshared";
  return mounts.some(({ propagation }) => propagation === "rslave") ? "rslave" : undefined;
}

function ociResources(resources: LinuxResources, cgroupVersion: 1 | 2): OciResources {
  const { cpuShares, cpuQuotaUs, cpuPeriodUs, memoryLimitBytes, pidsLimit } = resources;
  const cpu = {
    ...(cpuShares === undefined ? {} : { shares: cpuShares }),
    ...(cpuQuotaUs === undefined ? {} : { quota: cpuQuotaUs, period: cpuPeriodUs ?? 100_000 }),
  };
  return {
    devices: [{ allow: false, access: "rwm" }],
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(memoryLimitBytes === undefined ? {} : { memory: { limit: memoryLimitBytes } }),
    ...(pidsLimit === undefined ? {} : { pids: { limit: pidsLimit } }),
    // One process killed for memory ends its whole container: half a program is worse than none.
    ...(cgroupVersion === 2 ? { unified: { "memory.oom.group": "1" } } : {}),
  };
}
