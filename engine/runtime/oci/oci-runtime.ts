import { existsSync, readFileSync, realpathSync, rmdirSync, rmSync, watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { release } from "node:os";
import { delimiter, join } from "node:path";
import { type Clock, isErrno, type Logger, run, type Scope, systemClock } from "@peapod/kit";
import { EngineError } from "../../errors.ts";
import type {
  Container,
  ContainerConfig,
  ContainerEvent,
  ContainerRuntime,
  ExecOptions,
  ExecSession,
  PodSandbox,
  PodSandboxConfig,
} from "../runtime.ts";
import { Cgroups } from "./cgroups.ts";
import { runtimeCandidates, unifiedMountPoint } from "./choose-runtime.ts";
import { defaultCapabilities } from "./container-defaults.ts";
import { makePrivateDirectory, readBootId } from "./container-record.ts";
import { Containers } from "./containers.ts";
import { EventHub } from "./event-hub.ts";
import { execInContainer } from "./exec.ts";
import { protectMounts, unprotectMounts } from "./mount-protection.ts";
import { reopenLog } from "./reopen-log.ts";
import { type RunDirectories, runDirectories, type RuntimeContext } from "./runtime-context.ts";
import { Sandboxes } from "./sandboxes.ts";
import { compileSeccomp, isKernelAtLeast } from "./seccomp.ts";

export interface OciRuntimeOptions {
  /** Gone after a reboot, on a tmpfs; only root may look into it. */
  readonly runDir: string;
  /** Names the engine's cgroup. */
  readonly engineId: string;
  /** Closes what watches; containers go on. */
  readonly scope: Scope;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Default: crun where it works, else runc, from the PATH. */
  readonly runtimePath?: string;
  /** In the format of containers-common and Docker. Default: Debian's. */
  readonly seccompProfilePath?: string;
}

const SECCOMP_PROFILE_PATH = "/usr/share/containers/seccomp.json";
const CHECK_EVERY_MS = 5_000;

/**
 * Opens the runtime over `runDir` and adopts what an earlier engine left there.
 * Throws MACHINE_LACKS where the machine has no runc or crun, no conmon, or no seccomp profile.
 */
export async function openOciRuntime(options: OciRuntimeOptions): Promise<OciRuntime> {
  const { engineId, scope, log } = options;
  makePrivateDirectory(options.runDir);
  const runDir = realpathSync(options.runDir);
  const directories = runDirectories(runDir);
  for (const path of Object.values(directories)) makePrivateDirectory(path);
  protectMounts(directories.sandboxes);
  const runtimePath = options.runtimePath ?? findRuntime();
  const { name, version } = await readVersion(runtimePath, scope.signal);
  const context: RuntimeContext = {
    runtime: { path: runtimePath, root: directories.runtime },
    conmonPath: findProgram("conmon", "conmon"),
    catatonitPath: findProgram("catatonit", "catatonit"),
    directories,
    cgroups: new Cgroups(engineId),
    machine: {
      cgroupVersion: new Cgroups(engineId).version,
      lowestOomScoreAdj: lowestOomScoreAdj(),
      recursiveReadonly: isKernelAtLeast(release(), "5.12") && (name === "crun" || isKernelAtLeast(version, "1.1")),
    },
    seccomp: await loadSeccomp(options.seccompProfilePath ?? SECCOMP_PROFILE_PATH),
    bootId: readBootId(),
    clock: options.clock ?? systemClock,
    log,
  };
  return new OciRuntime(context, `${name}://${version}`, scope);
}

/** Pods on this machine by runc or crun and conmon. Adopts what it finds; outlived by its containers. */
export class OciRuntime implements ContainerRuntime {
  readonly version: string;
  readonly #context: RuntimeContext;
  readonly #events = new EventHub();
  readonly #sandboxes: Sandboxes;
  readonly #containers: Containers;

  constructor(context: RuntimeContext, version: string, scope: Scope) {
    this.version = version;
    this.#context = context;
    this.#sandboxes = new Sandboxes(context);
    // Watch first, look after: an exit in between is then seen twice, not never.
    this.#watchExits(scope);
    this.#containers = new Containers(context, (event) => this.#events.publish(event));
    const timer = setInterval(() => this.#checkAll(), CHECK_EVERY_MS);
    timer.unref();
    scope.defer(() => clearInterval(timer));
  }

  async runPodSandbox(config: PodSandboxConfig, signal: AbortSignal): Promise<PodSandbox> {
    signal.throwIfAborted();
    return await this.#sandboxes.run(config, signal);
  }

  async stopPodSandbox(id: string, _signal: AbortSignal): Promise<void> {
    await Promise.all(this.#containers.inSandbox(id).map((entry) => this.#containers.stop(entry.record.id, 0, AbortSignal.any([]))));
    await this.#sandboxes.stop(id);
  }

  async removePodSandbox(id: string, signal: AbortSignal): Promise<void> {
    await Promise.all(this.#containers.inSandbox(id).map((entry) => this.#containers.remove(entry.record.id)));
    await this.stopPodSandbox(id, signal);
    await this.#sandboxes.remove(id);
  }

  async listPodSandboxes(): Promise<PodSandbox[]> {
    return this.#sandboxes.list();
  }

  async createContainer(sandboxId: string, config: ContainerConfig, signal: AbortSignal): Promise<string> {
    return await this.#containers.create(sandboxId, this.#sandboxes.require(sandboxId), config, signal);
  }

  async startContainer(id: string, signal: AbortSignal): Promise<void> {
    await this.#containers.start(id, signal);
  }

  async stopContainer(id: string, graceSeconds: number, signal: AbortSignal): Promise<void> {
    await this.#containers.stop(id, graceSeconds, signal);
  }

  async removeContainer(id: string, _signal: AbortSignal): Promise<void> {
    await this.#containers.remove(id);
  }

  async listContainers(): Promise<Container[]> {
    return this.#containers.list();
  }

  async containerStatus(id: string): Promise<Container> {
    return this.#containers.status(id);
  }

  async exec(id: string, options: ExecOptions, signal: AbortSignal): Promise<ExecSession> {
    return execInContainer(this.#context, this.#containers.requireRunning(id, "exec in"), options, signal);
  }

  async reopenContainerLog(id: string, signal: AbortSignal): Promise<void> {
    await reopenLog(this.#containers.requireRunning(id, "reopen the log of"), signal);
  }

  events(signal: AbortSignal): AsyncIterable<ContainerEvent> {
    return this.#events.subscribe(signal);
  }

  /** Removes what the engine keeps on the machine for its pods, where no pod is left: cgroups, mounts, directories. For a clean stop. */
  async removeIfEmpty(): Promise<boolean> {
    if (this.#sandboxes.list().length > 0 || this.#containers.list().length > 0) return false;
    const { directories, cgroups } = this.#context;
    unprotectMounts(directories.sandboxes);
    removeDirectories(directories);
    return cgroups.removeRootIfEmpty();
  }

  #watchExits(scope: Scope): void {
    const watcher = watch(this.#context.directories.exits, { persistent: false }, (_event, name) => {
      // conmon writes under another name and renames: only the last name is a container's.
      if (name !== null && !name.includes(".")) this.#containers.check(name);
    });
    // What a broken watch misses, the timer finds.
    watcher.on("error", (cause) => this.#context.log.warn("cannot watch for container exits", { cause }));
    scope.defer(() => watcher.close());
  }

  #checkAll(): void {
    try {
      this.#containers.checkAll();
    } catch (cause) {
      this.#context.log.warn("cannot look at the containers", { cause });
    }
  }
}

function removeDirectories({ pauseRoot, ...others }: RunDirectories): void {
  rmSync(pauseRoot, { recursive: true, force: true });
  for (const path of Object.values(others)) {
    try {
      rmdirSync(path);
    } catch (cause) {
      if (!isErrno(cause, "ENOENT", "ENOTEMPTY")) throw cause;
    }
  }
}

function findRuntime(): string {
  const mounts = readFileSync("/proc/mounts", "utf8");
  const unified = unifiedMountPoint(mounts);
  const unifiedControllers = unified === undefined ? "" : readFileSync(join(unified, "cgroup.controllers"), "utf8");
  const candidates = runtimeCandidates({ mounts, unifiedControllers });
  for (const name of candidates) {
    const path = findOnPath(name);
    if (path !== undefined) return path;
  }
  throw new EngineError("MACHINE_LACKS", `Cannot find ${candidates.join(" or ")} on the PATH. Install one: apt-get install ${candidates.at(-1)}`);
}

function findProgram(name: string, debianPackage: string): string {
  const path = findOnPath(name);
  if (path === undefined) throw new EngineError("MACHINE_LACKS", `Cannot find ${name} on the PATH. Install it: apt-get install ${debianPackage}`);
  return path;
}

function findOnPath(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/libexec/podman", "/usr/lib/podman"];
  return folders.map((folder) => join(folder, name)).find((path) => path.startsWith("/") && existsSync(path));
}

async function readVersion(path: string, signal: AbortSignal): Promise<{ name: string; version: string }> {
  const { stdout } = await run(path, ["--version"], { signal, timeoutMs: 10_000 });
  const [, name = "oci", version = "0"] = /^(\S+) version (\d+(?:\.\d+)*)/m.exec(stdout) ?? [];
  return { name, version };
}

async function loadSeccomp(path: string): Promise<RuntimeContext["seccomp"]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new EngineError("MACHINE_LACKS", `Cannot read the seccomp profile ${path}. Install it: apt-get install golang-github-containers-common`, { cause });
  }
  return compileSeccomp(JSON.parse(text), { arch: process.arch, capabilities: defaultCapabilities, kernelRelease: release() });
}

/** Without CAP_SYS_RESOURCE nobody can go below what the engine itself has. */
function lowestOomScoreAdj(): number {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0"}`);
  const mayLower = (effective & (1n << 24n)) !== 0n;
  return mayLower ? -1000 : Number(readFileSync("/proc/self/oom_score_adj", "utf8"));
}
