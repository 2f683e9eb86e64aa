import { randomBytes } from "node:crypto";
import { readdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { isErrno, messageOf } from "@peapod/kit";
import { EngineError } from "../../../errors.ts";
import { unmount, unmountInThread } from "../../../linux/libc.ts";
import { pinNamespaces } from "../../../linux/namespaces.ts";
import { removeTree } from "../../../linux/remove-tree.ts";
import type { PodMetadata, PodSandbox, PodSandboxConfig, SandboxEvent } from "../../runtime.ts";
import { makePrivateDirectory, readRecord, recordFiles, writeRecord } from "../container/container-record.ts";
import type { SandboxPaths } from "../spec/oci-config.ts";
import { deletePause, endPause, findPause, startPause } from "./pause.ts";
import { runsProgram } from "../monitor/held-process.ts";
import type { ProcessIdentity } from "../machine/process-identity.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import { mountMemory, sandboxMemory } from "./sandbox-memory.ts";
import { sandboxSysctls } from "./sysctls.ts";

/** What is kept of a sandbox on disk, written before anything of it is made. */
interface SandboxRecord {
  readonly id: string;
  readonly pod: PodMetadata;
  readonly attempt: number;
  readonly hostname: string;
  readonly sharesProcesses: boolean;
  readonly createdAtMs: number;
  readonly bootId: string;
}

const DEFAULT_SHM_BYTES = 64 * 1024 * 1024;
const NSFS_MAGIC = 0x6e73_6673;

/**
 * The pod sandboxes of this engine. A sandbox is a directory with its record and with namespaces pinned in it as files; it is
 * ready while those are mounted and its pause process, if any, runs. No process holds the namespaces.
 */
export class Sandboxes {
  readonly #context: RuntimeContext;
  readonly #records = new Map<string, SandboxRecord>();
  readonly #pauses = new Map<string, ProcessIdentity>();
  readonly #publish: (event: SandboxEvent) => void;
  /** Those that were last known to be ready. */
  readonly #ready = new Set<string>();
  /** Those that are being removed. */
  readonly #leaving = new Set<string>();

  constructor(context: RuntimeContext, publish: (event: SandboxEvent) => void) {
    this.#context = context;
    this.#publish = publish;
    for (const id of readdirSync(context.directories.sandboxes)) this.#adopt(id);
  }

  /** Looks at the machine for what became of every sandbox. Cheap: a few looks each. */
  checkAll(): void {
    for (const id of this.#ready) this.check(id);
  }

  /** Looks at the machine for what became of a sandbox, and tells of its loss. */
  check(id: string): void {
    const record = this.#records.get(id);
    if (record === undefined || !this.#ready.has(id) || this.#isReady(record)) return;
    this.#ready.delete(id);
    this.#publish({ sandboxId: id, podUid: record.pod.uid });
  }

  async run(config: PodSandboxConfig, signal: AbortSignal): Promise<PodSandbox> {
    const { directories, cgroups, clock, bootId } = this.#context;
    const record: SandboxRecord = {
      id: randomBytes(32).toString("hex"),
      pod: config.pod,
      attempt: config.attempt,
      hostname: config.hostname,
      sharesProcesses: config.shareProcessNamespace,
      createdAtMs: clock.nowMs(),
      bootId,
    };
    const directory = join(directories.sandboxes, record.id);
    const sysctls = sandboxSysctls(config.sysctls);
    this.#records.set(record.id, record);
    try {
      makePrivateDirectory(join(directory, "ns"));
      writeRecord(directory, recordFiles.sandbox, record);
      cgroups.createPod(config.pod.uid, config.resources);
      await mountMemory(sandboxMemory(directory), config.shmSizeBytes ?? DEFAULT_SHM_BYTES);
      pinNamespaces(this.#paths(record), { hostname: config.hostname, sysctls });
      if (config.shareProcessNamespace) await this.#startPause(record, signal);
      this.#ready.add(record.id);
      return this.#toSandbox(record);
    } catch (cause) {
      await this.stop(record.id);
      await this.remove(record.id);
      if (signal.aborted || cause instanceof EngineError) throw cause;
      throw new EngineError("RUNTIME_FAILED", `Cannot make the sandbox of pod "${config.pod.name}": ${messageOf(cause)}`, { cause });
    }
  }

  /** Ends the pause process and unpins the namespaces. Its containers must have ended. Safe to repeat. */
  async stop(id: string): Promise<void> {
    const record = this.#records.get(id);
    if (record === undefined) return;
    this.#ready.delete(id);
    if (record.sharesProcesses) await endPause(this.#context, this.pauseCgroup(record));
    this.#pauses.delete(id);
    for (const path of mountPlaces(this.#directory(id))) await unmountInThread(path);
  }

  /** Removes what is left of a stopped sandbox. Safe to repeat. */
  async remove(id: string): Promise<void> {
    const record = this.#records.get(id);
    if (record === undefined) return;
    this.#leaving.add(id);
    try {
      if (record.sharesProcesses) await deletePause(this.#context, id);
      // Several of one pod may leave at once: the pod's cgroup goes with each, as long as none stays.
      const others = [...this.#records.values()].filter((other) => other.pod.uid === record.pod.uid && !this.#leaving.has(other.id));
      if (others.length === 0) await this.#context.cgroups.remove(this.#context.cgroups.podPath(record.pod.uid));
      await removeTree(this.#directory(id));
      this.#records.delete(id);
    } finally {
      this.#leaving.delete(id);
    }
  }

  list(): PodSandbox[] {
    return [...this.#records.values()].map((record) => this.#toSandbox(record));
  }

  /** Throws SANDBOX_NOT_FOUND. */
  status(id: string): PodSandbox {
    return this.#toSandbox(this.#require(id));
  }

  /** What a new container takes from its sandbox. Throws SANDBOX_NOT_FOUND where it is gone or not ready. */
  require(id: string): { paths: SandboxPaths; pod: PodMetadata } {
    const record = this.#require(id);
    if (!this.#isReady(record))
      throw new EngineError("SANDBOX_NOT_FOUND", `Cannot use sandbox ${id} of pod "${record.pod.name}": it is not ready`);
    return { paths: this.#paths(record), pod: record.pod };
  }

  /** The cgroup of a sandbox's pause process. */
  pauseCgroup(record: { readonly id: string; readonly pod: PodMetadata }): string {
    return `${this.#context.cgroups.podPath(record.pod.uid)}/${record.id}`;
  }

  #require(id: string): SandboxRecord {
    const record = this.#records.get(id);
    if (record === undefined) throw new EngineError("SANDBOX_NOT_FOUND", `Cannot find sandbox ${id}`);
    return record;
  }

  #adopt(id: string): void {
    const record = readRecord<SandboxRecord>(this.#directory(id), recordFiles.sandbox);
    if (record === undefined) {
      // The engine died before it wrote the record, and nothing is made before: what is mounted here lost its record.
      void this.#context.cleanups.attempt(`remove sandbox ${id}`, () => {
        for (const path of mountPlaces(this.#directory(id))) unmount(path);
        rmSync(this.#directory(id), { recursive: true, force: true });
      });
      return;
    }
    this.#records.set(id, record);
    const pause = record.sharesProcesses && record.bootId === this.#context.bootId ? findPause(this.#directory(id)) : undefined;
    if (pause !== undefined) this.#pauses.set(id, pause);
    if (this.#isReady(record)) this.#ready.add(id);
  }

  async #startPause(record: SandboxRecord, signal: AbortSignal): Promise<void> {
    const directory = this.#directory(record.id);
    const pause = await startPause(
      this.#context,
      { id: record.id, directory, paths: this.#paths(record), cgroupsPath: this.pauseCgroup(record) },
      signal,
    );
    this.#pauses.set(record.id, pause);
  }

  #toSandbox(record: SandboxRecord): PodSandbox {
    const { id, pod, attempt, createdAtMs } = record;
    return { id, pod, attempt, createdAtMs, state: this.#isReady(record) ? "ready" : "notready", netnsPath: this.#paths(record).net };
  }

  #isReady(record: SandboxRecord): boolean {
    const { net, ipc, uts } = this.#paths(record);
    if (record.bootId !== this.#context.bootId || ![net, ipc, uts].every(isPinned)) return false;
    if (!record.sharesProcesses) return true;
    const pause = this.#pauses.get(record.id);
    return pause !== undefined && runsProgram(pause);
  }

  #directory(id: string): string {
    return join(this.#context.directories.sandboxes, id);
  }

  #paths(record: SandboxRecord): SandboxPaths {
    const directory = this.#directory(record.id);
    const namespace = (name: string): string => join(directory, "ns", name);
    return {
      hostname: record.hostname,
      net: namespace("net"),
      ipc: namespace("ipc"),
      uts: namespace("uts"),
      pid: record.sharesProcesses ? namespace("pid") : undefined,
      shm: sandboxMemory(directory).shm,
    };
  }
}

/** Where things are mounted in a sandbox's directory. */
function mountPlaces(directory: string): string[] {
  return [...["pid", "net", "ipc", "uts"].map((name) => join(directory, "ns", name)), sandboxMemory(directory).mountPoint];
}

function isPinned(path: string): boolean {
  try {
    return statfsSync(path).type === NSFS_MAGIC;
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return false;
    throw cause;
  }
}
