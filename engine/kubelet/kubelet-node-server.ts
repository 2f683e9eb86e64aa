import { join } from "node:path";
import { badRequest, notFound, podContainers, pods, serviceUnavailable, type Status } from "@peapod/api";
import { ApiError } from "@peapod/client";
import { delay } from "@peapod/kit";
import { hasCode } from "../errors.ts";
import type { LogOptions } from "../logs/logs.ts";
import type { ContainerRuntime, ExecOptions, ExecSession } from "../runtime/runtime.ts";
import { podLogsPath } from "./decide/container-config.ts";
import type { ContainerReference, NodeServer } from "./node-server.ts";
import type { ContainerSeen, Ended } from "./decide/pod-seen.ts";
import type { PodRecord } from "./record/pod-record.ts";

/** Reads a container's log, as engine/logs does. */
export type LogReader = (
  options: LogOptions & { readonly path: string; readonly finished?: Promise<unknown> },
  signal: AbortSignal,
) => AsyncIterable<Uint8Array>;

export interface KubeletNodeServerOptions {
  /** What the kubelet knows of its pods, and where their logs are. */
  readonly kubelet: { readonly isReady: boolean; record(uid: string): PodRecord | undefined; readonly podLogsDir: string };
  readonly runtime: ContainerRuntime;
  readonly readLog: LogReader;
}

/** The kubelet's door for logs and exec, with upstream's answers. */
export class KubeletNodeServer implements NodeServer {
  readonly #options: KubeletNodeServerOptions;

  constructor(options: KubeletNodeServerOptions) {
    this.#options = options;
  }

  async *containerLogs(
    reference: ContainerReference,
    options: LogOptions & { previous: boolean },
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    const record = await this.#record(reference, signal);
    const container = choose(record, reference.containerName, options.previous);
    const path = join(podLogsPath(this.#options.kubelet.podLogsDir, record), container.name, `${container.attempt}.log`);
    const following = new AbortController();
    const finished = options.follow
      ? record.untilEnded(container.name, container.attempt, AbortSignal.any([signal, following.signal]))
      : undefined;
    try {
      // Whoever reads slowly holds no files of a pod that is gone.
      const reading = AbortSignal.any([signal, record.tornDown]);
      yield* this.#options.readLog({ ...options, path, ...(finished === undefined ? {} : { finished }) }, reading);
    } catch (cause) {
      if (hasCode(cause, "LOG_NOT_FOUND"))
        throw new ApiError(badRequest(`the log of container "${container.name}" in pod "${record.name}" is not there any more`), { cause });
      throw cause;
    } finally {
      following.abort();
    }
  }

  async exec(reference: ContainerReference, options: ExecOptions, signal: AbortSignal): Promise<ExecSession> {
    const record = await this.#record(reference, signal);
    const { containerName } = reference;
    const running = instances(record, containerName).findLast(({ state }) => state.kind === "running");
    if (running?.id === undefined) {
      const container = instances(record, containerName).at(-1);
      const why = container?.state.kind === "ended" ? "cannot exec in a stopped container" : "it is not running yet";
      throw refused(`container "${containerName}" in pod "${record.name}" does not run: ${why}`);
    }
    return this.#options.runtime.exec(running.id, options, signal);
  }

  async #record({ podUid, containerName }: ContainerReference, signal: AbortSignal): Promise<PodRecord> {
    await this.#untilReady(signal);
    const record = this.#options.kubelet.record(podUid);
    if (record?.pod === undefined) throw new ApiError(notFound(pods, podUid));
    if (!podContainers(record.pod.spec).some(({ name }) => name === containerName)) {
      throw refused(`container ${containerName} is not valid for pod ${record.name}`);
    }
    return record;
  }

  /** What runs since an engine before is not known for a moment, which is no reason to say that it is not there. */
  async #untilReady(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + READY_WITHIN_MS;
    for (; !this.#options.kubelet.isReady; await delay(20, signal))
      if (performance.now() > deadline)
        throw new ApiError(serviceUnavailable("The engine is still taking over what ran before it started; try again"));
  }
}

const READY_WITHIN_MS = 10_000;

/** Upstream's validateContainerLogStatus: which start of a container is meant. */
function choose(record: PodRecord, name: string, previous: boolean): ContainerSeen {
  const all = instances(record, name);
  const last = all.at(-1);
  const status = record.status.containerStatuses?.find((other) => other.name === name);
  const isWaiting = status?.state?.waiting !== undefined && last?.state.kind !== "running";
  const ended = all.filter((container) => container.state.kind === "ended" && (container !== last || isWaiting));
  if (previous) {
    const found = ended.at(-1);
    if (found === undefined) throw refused(`previous terminated container "${name}" in pod "${record.name}" not found`);
    return found;
  }
  const failed = record.seen("ready").containers.findLast((container) => container.name === name);
  if (last === undefined && failed !== undefined && isStartError(failed))
    throw refused(`container "${name}" in pod "${record.name}" has no log, it could not be started: ${failed.state.message ?? ""}`);
  if (last !== undefined && last.state.kind !== "created") return last;
  const before = ended.at(-1);
  if (before !== undefined) return before;
  throw refused(`container "${name}" in pod "${record.name}" is waiting to start: ${waitingFor(status?.state?.waiting?.reason)}`);
}

function waitingFor(reason: string | undefined): string {
  if (reason === "ErrImagePull") return "image can't be pulled";
  if (reason === "ImagePullBackOff") return "trying and failing to pull image";
  return reason ?? "ContainerCreating";
}

function instances(record: PodRecord, name: string): ContainerSeen[] {
  return record.seen("ready").containers.filter((container) => container.name === name && !isStartError(container));
}

/** One that never started has written nothing. */
function isStartError(container: ContainerSeen): container is ContainerSeen & { readonly state: Ended } {
  const { state } = container;
  return state.kind === "ended" && state.reason === "StartError";
}

function refused(message: string): ApiError {
  const status: Status = badRequest(message);
  return new ApiError(status);
}
