import { realpathSync, rmdirSync, rmSync } from "node:fs";
import { release } from "node:os";
import { Cleanups, type Clock, isErrno, LatestHub, type Logger, type Scope, startInterval, systemClock, watchFolder } from "@peapod/kit";
import type {
  Container,
  ContainerConfig,
  ContainerRuntime,
  ExecOptions,
  ExecSession,
  PodSandbox,
  PodSandboxConfig,
  RuntimeEvent,
} from "../runtime.ts";
import { Cgroups, type PidsLimits } from "./machine/cgroups.ts";
import { makePrivateDirectory, readBootId } from "./container/container-record.ts";
import { Containers } from "./container/containers.ts";
import { Gatekeeper } from "./monitor/gatekeeper.ts";
import { execInContainer } from "./container/exec.ts";
import { chooseRuntime, defaultSeccomp, findProgram, lowestOomScoreAdj, readRuntimeVersion } from "./machine/machine.ts";
import { protectMounts, unprotectMounts } from "./machine/mount-protection.ts";
import { type RunDirectories, runDirectories, type RuntimeContext } from "./runtime-context.ts";
import { Sandboxes } from "./sandbox/sandboxes.ts";
import { isKernelAtLeast } from "./spec/seccomp.ts";

export interface OciRuntimeOptions {
  /** Gone after a reboot, on a tmpfs; only root may look into it. */
  readonly runDir: string;
  /** Names the engine's cgroup. */
  readonly engineId: string;
  /** Closes what watches; containers go on. */
  readonly scope: Scope;
  readonly log: Logger;
  readonly clock?: Clock;
  /** At this size a container's log gets a new file in the place of the old, however fast it is written. Default: it grows on. */
  readonly logMaxSizeBytes?: number;
  /** Default: crun where it works, else runc, from the PATH. */
  readonly runtimePath?: string;
  /** Default: none. */
  readonly pidsLimits?: PidsLimits;
}

const CHECK_EVERY_MS = 5_000;

/**
 * Opens the runtime over `runDir` and adopts what an earlier engine left there.
 * Throws MACHINE_LACKS where the machine has no runc or crun, or no conmon.
 */
export async function openOciRuntime(options: OciRuntimeOptions): Promise<OciRuntime> {
  const { engineId, scope, log } = options;
  makePrivateDirectory(options.runDir);
  const runDir = realpathSync(options.runDir);
  const directories = runDirectories(runDir);
  for (const path of Object.values(directories)) makePrivateDirectory(path);
  protectMounts(directories.sandboxes);
  const runtimePath = options.runtimePath ?? (await chooseRuntime(scope.signal));
  const { name, version } = await readRuntimeVersion(runtimePath, scope.signal);
  const cgroups = new Cgroups(engineId, options.pidsLimits ?? { pod: "max", total: "max" });
  const clock = options.clock ?? systemClock;
  const gatekeeper = scope.use(new Gatekeeper(findProgram("sh", "dash")));
  const context: RuntimeContext = {
    runtime: { path: runtimePath, root: directories.runtime },
    conmonPath: findProgram("conmon", "conmon"),
    logMaxSizeBytes: options.logMaxSizeBytes,
    catatonitPath: findProgram("catatonit", "catatonit"),
    gatekeeper,
    directories,
    cgroups,
    machine: {
      cgroupVersion: cgroups.version,
      lowestOomScoreAdj: lowestOomScoreAdj(),
      recursiveReadonly: isKernelAtLeast(release(), "5.12") && (name === "crun" || isKernelAtLeast(version, "1.1")),
    },
    seccomp: defaultSeccomp(),
    bootId: readBootId(),
    clock,
    cleanups: new Cleanups({ clock, log, signal: scope.signal }),
    log,
  };
  return new OciRuntime(context, `${name}://${version}`, scope);
}

/** Pods on this machine by runc or crun and conmon. Adopts what it finds; outlived by its containers. */
export class OciRuntime implements ContainerRuntime {
  readonly version: string;
  readonly #context: RuntimeContext;
  readonly #events = new LatestHub<RuntimeEvent>();
  readonly #sandboxes: Sandboxes;
  readonly #containers: Containers;

  constructor(context: RuntimeContext, version: string, scope: Scope) {
    this.version = version;
    this.#context = context;
    this.#sandboxes = new Sandboxes(context, (event) => this.#events.publish(event.sandboxId, event));
    // Watch first, look after: an exit in between is then seen twice, not never.
    this.#watchExits(scope);
    this.#containers = new Containers(context, (event, sandboxId) => {
      this.#sandboxes.check(sandboxId); // its pause process may be what took the container along
      this.#events.publish(event.containerId, event);
    });
    scope.defer(async () => this.#containers.settle());
    const timer = startInterval(() => this.#checkAll(), CHECK_EVERY_MS);
    timer.unref();
    scope.defer(() => timer[Symbol.dispose]());
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

  async podSandboxStatus(id: string): Promise<PodSandbox> {
    return this.#sandboxes.status(id);
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

  events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    return this.#events.listen(signal);
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
    // What it misses, the timer finds.
    const watching = watchFolder(this.#context.directories.exits, (name) => {
      // conmon writes under another name and renames: only the last name is a container's.
      if (name !== undefined && !name.includes(".")) this.#containers.check(name);
    });
    scope.defer(() => watching[Symbol.dispose]());
  }

  #checkAll(): void {
    try {
      this.#sandboxes.checkAll();
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
