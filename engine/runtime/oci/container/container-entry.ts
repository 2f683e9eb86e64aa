import type { Container, ContainerState } from "../../runtime.ts";
import type { ContainerProcesses, ContainerRecord } from "./container-record.ts";

/**
 * A container that this engine knows: its record and its state as last seen. States follow one another only so:
 * created -> running -> exited or unknown; created -> exited or unknown. An ended one stays as it is.
 */
export class ContainerEntry {
  readonly record: ContainerRecord;
  readonly bundle: string;
  /** Undefined for one whose creation the last engine did not see through. */
  readonly processes: ContainerProcesses | undefined;
  readonly #ended = Promise.withResolvers<void>();
  #state: ContainerState;
  #startedAtMs: number | undefined;

  constructor(record: ContainerRecord, bundle: string, processes: ContainerProcesses | undefined, startedAtMs?: number) {
    this.record = record;
    this.bundle = bundle;
    this.processes = processes;
    this.#startedAtMs = startedAtMs;
    const pid = processes?.container.pid;
    this.#state = startedAtMs === undefined || pid === undefined ? { kind: "created" } : { kind: "running", pid, startedAtMs };
  }

  get state(): ContainerState {
    return this.#state;
  }

  get hasEnded(): boolean {
    return this.#state.kind === "exited" || this.#state.kind === "unknown";
  }

  /** Resolves when the container has exited or vanished. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  markStarted(startedAtMs: number): void {
    this.#startedAtMs = startedAtMs;
    if (this.#state.kind === "created" && this.processes !== undefined) {
      this.#state = { kind: "running", pid: this.processes.container.pid, startedAtMs };
    }
  }

  /** Gives false where it had ended before. `exitCode` undefined: nobody knows it. */
  markEnded(facts: { exitCode: number | undefined; finishedAtMs: number; oomKilled: boolean }): boolean {
    if (this.hasEnded) return false;
    const { exitCode, oomKilled } = facts;
    const startedAtMs = this.#startedAtMs ?? this.record.createdAtMs;
    const finishedAtMs = Math.max(facts.finishedAtMs, startedAtMs); // a file's time is that of the clock's last tick, milliseconds ago
    this.#state =
      exitCode === undefined
        ? { kind: "unknown", startedAtMs, finishedAtMs }
        : { kind: "exited", exitCode, startedAtMs, finishedAtMs, oomKilled };
    this.#ended.resolve();
    return true;
  }

  toContainer(): Container {
    const { id, sandboxId, pod, name, attempt, image, imageId, specHash, logPath, createdAtMs } = this.record;
    return { id, sandboxId, pod, name, attempt, image, imageId, specHash, logPath, createdAtMs, state: this.#state };
  }
}
