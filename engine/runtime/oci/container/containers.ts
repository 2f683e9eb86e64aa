import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { abortAfter, delay, messageOf } from "@peapod/kit";
import { EngineError } from "../../../errors.ts";
import type { Container, ContainerConfig, ContainerEvent, PodMetadata } from "../../runtime.ts";
import { adoptContainers } from "./adopt.ts";
import { bundleFiles, createWithConmon, MonitorError } from "../monitor/conmon.ts";
import { ContainerEntry } from "./container-entry.ts";
import { type ContainerProcesses, type ContainerRecord, makePrivateDirectory, recordFiles, writeRecord } from "./container-record.ts";
import { readExitFile, wasOomKilled } from "../monitor/exit-file.ts";
import { ociConfig, type SandboxPaths } from "../spec/oci-config.ts";
import { imageVolumes } from "../spec/image-volumes.ts";
import { findMonitor, killHalfMade } from "../monitor/monitor-identity.ts";
import { checkMountTargets } from "../spec/mount-targets.ts";
import { type HeldProcess, identifyHeld, isStillHeld, isStillHeldSoon } from "../monitor/held-process.ts";
import { isRunning, signalProcess } from "../machine/process-identity.ts";
import { resolveUser } from "../spec/rootfs-user.ts";
import { cleanRuntimeError, explainLimit, isProgramError, runRuntime } from "../machine/runtime-command.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import { openStartGate, removeStartGate, startGatePath } from "../monitor/start-gate.ts";
import { makeTerminationLog, removeTerminationLog, sandboxMemory, terminationLogPath } from "../sandbox/sandbox-memory.ts";
import { signalNumber } from "../spec/signals.ts";

/** A hundred times what it takes on a busy machine. */
const CREATE_WITHIN_MS = 30_000;
const END_WITHIN_MS = 10_000;
const BEGIN_WITHIN_MS = 2_000;
const CLEAN_WITHIN_MS = 30_000;

/**
 * The containers of this engine. What they are is on disk before they are; how they are is what the machine says: conmon's exit
 * files, and process ids with their start times. Nothing here asks the OCI runtime for a state.
 */
export class Containers {
  readonly #context: RuntimeContext;
  readonly #publish: (event: ContainerEvent, sandboxId: string) => void;
  readonly #entries = new Map<string, ContainerEntry>();
  /** Those that were let go and have not been seen to have begun. */
  readonly #going = new Set<string>();

  constructor(context: RuntimeContext, publish: (event: ContainerEvent, sandboxId: string) => void) {
    this.#context = context;
    this.#publish = publish;
    for (const entry of adoptContainers(context)) {
      this.#entries.set(entry.record.id, entry);
      // An earlier engine may have died over its start: what it had decided to start starts, once.
      if (entry.state.kind === "running") this.#going.add(entry.record.id);
    }
    this.checkAll();
  }

  async create(
    sandboxId: string,
    sandbox: { paths: SandboxPaths; pod: PodMetadata },
    config: ContainerConfig,
    signal: AbortSignal,
  ): Promise<string> {
    const { cgroups, clock, bootId, directories, machine, seccomp } = this.#context;
    const id = randomBytes(32).toString("hex");
    const bundle = join(directories.containers, id);
    const { name, attempt, image, imageId, specHash, logPath, stopSignal } = config;
    const cgroupPath = `${cgroups.podPath(sandbox.pod.uid)}/${id}`;
    const facts = { id, sandboxId, pod: sandbox.pod, name, attempt, image, imageId, specHash, logPath, stopSignal, cgroupPath };
    const record: ContainerRecord = { ...facts, createdAtMs: clock.nowMs(), bootId };
    signalNumber(stopSignal);
    const user = resolveUser(config.rootfsPath, config.user);
    const volumes = imageVolumes(config);
    const memory = sandboxMemory(join(directories.sandboxes, sandboxId));
    const container = withTerminationLog({ ...config, mounts: [...config.mounts, ...volumes.mounts] }, terminationLogPath(memory, id));
    const spec = ociConfig({ container, user, sandbox: sandbox.paths, cgroupsPath: cgroupPath, machine, seccomp });
    checkMountTargets(name, spec);
    volumes.make();
    makePrivateDirectory(bundle);
    writeRecord(bundle, recordFiles.container, record);
    writeRecord(bundle, bundleFiles.config, spec);
    try {
      makeTerminationLog(memory, id);
      const processes = await this.#monitor(record, bundle, config, signal);
      this.#entries.set(id, new ContainerEntry(record, bundle, processes));
      return id;
    } catch (cause) {
      await this.#erase(new ContainerEntry(record, bundle, undefined));
      if (!(cause instanceof MonitorError)) throw cause;
      const said = cleanRuntimeError(cause.message);
      const code = isProgramError(said) ? "CONTAINER_START_FAILED" : "CONTAINER_CREATE_FAILED";
      throw new EngineError(code, `Cannot create container "${name}": ${explainLimit(said, config.resources.memoryLimitBytes)}`); // no cause: it would only repeat what was said, in log lines
    }
  }

  async start(id: string, signal: AbortSignal): Promise<void> {
    const entry = this.#require(id);
    const { runtime, clock } = this.#context;
    if (entry.state.kind === "running") return;
    if (entry.state.kind !== "created" || entry.processes === undefined) {
      throw new EngineError(
        "CONTAINER_START_FAILED",
        `Cannot start container "${entry.record.name}": it is ${entry.state.kind}, not created`,
      );
    }
    const startedAtMs = clock.nowMs();
    writeRecord(entry.bundle, recordFiles.started, startedAtMs);
    try {
      if (!this.#letGo(id, entry.processes)) await runRuntime(runtime, ["start", id], signal);
    } catch (cause) {
      if (signal.aborted) throw cause;
      throw new EngineError("CONTAINER_START_FAILED", `Cannot start container "${entry.record.name}": ${messageOf(cause)}`, { cause });
    }
    entry.markStarted(startedAtMs);
    this.check(id);
  }

  async stop(id: string, graceSeconds: number, signal: AbortSignal): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.hasEnded) return;
    if (graceSeconds > 0 && entry.state.kind === "running" && entry.processes !== undefined) {
      if (this.#going.has(id)) await untilBegun(entry.processes.container, signal);
      signalProcess(entry.processes.container, signalNumber(entry.record.stopSignal));
      await untilEnded(entry, graceSeconds * 1000, signal);
    }
    await this.kill(entry);
  }

  /** Waits until those that were let go have begun: what opens their gates ends with this engine. */
  async settle(): Promise<void> {
    await Promise.all(
      [...this.#going].map(async (id) => {
        const processes = this.#entries.get(id)?.processes;
        if (processes !== undefined) await untilBegun(processes.container, AbortSignal.any([]));
      }),
    );
  }

  /** Kills everything of a container and waits until it has ended. */
  async kill(entry: ContainerEntry): Promise<void> {
    if (entry.processes === undefined) await killHalfMade(entry.bundle);
    await this.#context.cgroups.killAll(entry.record.cgroupPath);
    if (entry.processes === undefined)
      return this.#end(entry, { exitCode: undefined, finishedAtMs: this.#context.clock.nowMs(), oomKilled: false });
    signalProcess(entry.processes.container, "SIGKILL");
    const deadline = performance.now() + END_WITHIN_MS;
    while (!entry.hasEnded && performance.now() < deadline) {
      await untilEnded(entry, 250);
      this.check(entry.record.id);
    }
    if (!entry.hasEnded)
      throw new EngineError("RUNTIME_FAILED", `Cannot stop container "${entry.record.name}": it does not end on SIGKILL`);
  }

  async remove(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    if (!entry.hasEnded) await this.kill(entry);
    await this.#erase(entry);
    this.#entries.delete(id);
  }

  list(): Container[] {
    return [...this.#entries.values()].map((entry) => entry.toContainer());
  }

  inSandbox(sandboxId: string): ContainerEntry[] {
    return [...this.#entries.values()].filter(({ record }) => record.sandboxId === sandboxId);
  }

  /** Throws CONTAINER_NOT_FOUND. */
  status(id: string): Container {
    this.check(id);
    return this.#require(id).toContainer();
  }

  /** The entry of a running container. Throws CONTAINER_NOT_FOUND, or RUNTIME_FAILED where it does not run. */
  requireRunning(id: string, doing: string): ContainerEntry {
    const entry = this.#require(id);
    if (entry.state.kind === "running") return entry;
    throw new EngineError("RUNTIME_FAILED", `Cannot ${doing} container "${entry.record.name}": it is ${entry.state.kind}, not running`);
  }

  /** Looks at the machine for what became of each container. Cheap: one file of /proc each, and one look for all exit files. */
  checkAll(): void {
    this.#checkStarts();
    const exited = new Set(readdirSync(this.#context.directories.exits));
    for (const [id, { hasEnded, processes, record }] of this.#entries) {
      if (hasEnded) continue;
      const isFine =
        processes !== undefined && record.bootId === this.#context.bootId && isRunning(processes.monitor ?? processes.container);
      if (!isFine || exited.has(id)) this.check(id);
    }
  }

  /** Looks at the machine for what became of a container, and tells of its end. */
  check(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.hasEnded) return;
    const exit = readExitFile(this.#context.directories.exits, id);
    if (exit !== undefined) {
      this.#end(entry, { ...exit, oomKilled: exit.exitCode !== 0 && wasOomKilled(this.#context.cgroups, entry) });
      return;
    }
    if (entry.processes === undefined) return;
    const { container, monitor } = entry.processes;
    const isOfThisBoot = entry.record.bootId === this.#context.bootId;
    const isThere = isOfThisBoot && isRunning(container);
    const isMonitored = isOfThisBoot && monitor !== undefined && isRunning(monitor);
    if (isMonitored || (isThere && monitor === undefined)) return;
    // conmon may have written the file and ended between the two looks.
    if (readExitFile(this.#context.directories.exits, id) !== undefined) return;
    // One that goes on without conmon ends here too: nobody reads what it writes, and nobody will know its exit code.
    this.#end(entry, { exitCode: undefined, finishedAtMs: this.#context.clock.nowMs(), oomKilled: false });
  }

  /** False where the runtime itself must be asked. */
  #letGo(id: string, { container }: ContainerProcesses): boolean {
    const { runtime, gatekeeper } = this.#context;
    this.#going.add(id);
    return openStartGate({ path: startGatePath(runtime.root, id), held: container, gatekeeper });
  }

  /** Looks whether those that were let go have begun; one that has not is let go again: whoever was told may have been killed. */
  #checkStarts(): void {
    for (const id of this.#going) {
      const { processes, hasEnded } = this.#entries.get(id) ?? { processes: undefined, hasEnded: true };
      if (hasEnded || processes === undefined || !isStillHeld(processes.container)) {
        this.#going.delete(id);
        removeStartGate(startGatePath(this.#context.runtime.root, id));
        continue;
      }
      try {
        this.#letGo(id, processes);
      } catch (error) {
        this.#context.log.warn("cannot see a start through, tried again later", { containerId: id, error });
      }
    }
  }

  #end(entry: ContainerEntry, facts: { exitCode: number | undefined; finishedAtMs: number; oomKilled: boolean }): void {
    if (!entry.markEnded(facts)) return;
    // Where the pod shares its processes, what the container's first process started lives on below the pause process.
    this.#context.cgroups.killOnce(entry.record.cgroupPath);
    this.#publish({ containerId: entry.record.id, podUid: entry.record.pod.uid }, entry.record.sandboxId);
  }

  #require(id: string): ContainerEntry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new EngineError("CONTAINER_NOT_FOUND", `Cannot find container ${id}`);
    return entry;
  }

  async #monitor(
    record: ContainerRecord,
    bundle: string,
    { tty, stdin }: ContainerConfig,
    signal: AbortSignal,
  ): Promise<ContainerProcesses> {
    const { conmonPath, logMaxSizeBytes, runtime, directories, cgroups } = this.#context;
    const adopt = cgroups.movesMonitors ? async (pid: number): Promise<void> => await cgroups.adoptMonitor(pid) : undefined;
    const options = {
      conmonPath,
      runtime,
      containerId: record.id,
      bundle,
      logPath: record.logPath,
      logMaxSizeBytes,
      exitDir: directories.exits,
      tty,
      stdin,
      adopt,
      withinMs: CREATE_WITHIN_MS,
    };
    const pid = await createWithConmon(options, signal);
    const container = identifyHeld(pid);
    if (container === undefined) throw new MonitorError(`its process ${pid} ended before it was started`);
    const processes = { container, ...findMonitor(bundle) };
    writeRecord(bundle, recordFiles.processes, processes);
    return processes;
  }

  /** Removes everything of a container: what runs, the runtime's state, cgroup, bundle and exit file. Safe to repeat. */
  async #erase({ record, bundle, processes }: ContainerEntry): Promise<void> {
    const { cgroups, runtime, directories } = this.#context;
    if (processes === undefined) await killHalfMade(bundle);
    else if (processes.monitor !== undefined && readExitFile(directories.exits, record.id) === undefined)
      signalProcess(processes.monitor, "SIGKILL");
    await cgroups.killAll(record.cgroupPath);
    if (existsSync(join(runtime.root, record.id))) await runRuntime(runtime, ["delete", "--force", record.id], abortAfter(CLEAN_WITHIN_MS));
    await cgroups.remove(record.cgroupPath);
    removeTerminationLog(sandboxMemory(join(directories.sandboxes, record.sandboxId)), record.id);
    rmSync(join(directories.exits, record.id), { force: true });
    rmSync(bundle, { recursive: true, force: true });
  }
}

/** What a container mounts, and the file for its last words unless it mounts something there itself. */
function withTerminationLog(config: ContainerConfig, hostPath: string): ContainerConfig {
  const { mounts, terminationMessagePath: containerPath } = config;
  const isOwn = mounts.some((mount) => mount.containerPath === containerPath);
  return isOwn ? config : { ...config, mounts: [...mounts, { hostPath, containerPath, readonly: false }] };
}

/** A signal to one that was let go this moment would meet the runtime's init, which ends by it, or loses it. */
async function untilBegun(held: HeldProcess, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + BEGIN_WITHIN_MS;
  for (let waitMs = 1; (await isStillHeldSoon(held)) && performance.now() < deadline; waitMs = Math.min(waitMs * 2, 50))
    await delay(waitMs, signal);
}

/** Waits for the end of a container, but no longer than `withinMs`. */
async function untilEnded(entry: ContainerEntry, withinMs: number, signal?: AbortSignal): Promise<void> {
  const stop = new AbortController();
  const timer = delay(withinMs, signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]));
  try {
    await Promise.race([entry.ended, timer]);
  } finally {
    stop.abort();
    await timer.catch(() => {}); // its abort is ours, or was thrown above
  }
}
