import type { ExecOptions, ExecSession } from "../runtime/runtime.ts";
import type { LogOptions } from "../logs/logs.ts";

/**
 * A node's logs, exec and port-forward, as the API server reaches them: in-process here, over HTTPS on a real cluster.
 * Errors are ApiError with the Status that a client gets (400 `container "x" in pod "y" is waiting to start: ...`).
 */
export interface NodeServer {
  /** The bytes of a container's log. Ends at the end, or for `follow` when the container is gone or the signal is aborted. */
  containerLogs(container: ContainerReference, options: LogOptions & { previous: boolean }, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Starts a process in a running container. */
  exec(container: ContainerReference, options: ExecOptions, signal: AbortSignal): Promise<ExecSession>;
}

export interface ContainerReference {
  readonly podUid: string;
  readonly containerName: string;
}
