import { type Pod, podContainers } from "@peapod/api";
import type { Client, EventRecorder } from "@peapod/client";
import type { Clock, Logger } from "@peapod/kit";
import type { ImageService } from "../images/images.ts";
import type { RemoveLog } from "../logs/logs.ts";
import type { PodNetwork } from "../network/network.ts";
import type { ContainerRuntime } from "../runtime/runtime.ts";
import type { VolumeService } from "../volumes/volumes.ts";
import type { Places } from "./act/places.ts";
import type { ResolvConfSources } from "./decide/pod-resolv-conf.ts";
import type { PodRecord } from "./record/pod-record.ts";
import type { StatusWriter } from "./act/status-writer.ts";

/** What a pod's turn works with. */
export interface Services {
  readonly client: Client;
  readonly runtime: ContainerRuntime;
  readonly images: ImageService;
  readonly volumes: VolumeService;
  readonly network: PodNetwork;
  readonly clock: Clock;
  readonly log: Logger;
  readonly recorder: EventRecorder;
  readonly statusWriter: StatusWriter;
  /** For what costs the machine much. */
  readonly places: { readonly start: Places; readonly removal: Places };
  readonly podLogsDir: string;
  readonly keptPodsDir: string;
  readonly removeLog: RemoveLog;
  /** How long what is done for a pod that goes may take before it is given up and begun again. */
  readonly removalLimitMs: number;
  readonly nodeMemoryBytes: number;
  readonly allocatable: Readonly<Record<string, string>>;
  readonly resolver: () => Promise<ResolvConfSources>;
  /** Owns work that goes on beside a pod's turns: the kubelet does not end before it. The work never rejects. */
  readonly inBackground: (work: Promise<void>) => void;
  /** Asks for a turn of a pod. */
  readonly notify: (uid: string) => void;
  /** Asks for a turn of a pod at a time, by the monotonic clock. */
  readonly notifyAt: (uid: string, atMs: number) => void;
}

/** Notes an event about a pod, or about one of its containers. */
export function recordEvent(
  services: Services,
  record: PodRecord,
  type: "Normal" | "Warning",
  reason: string,
  message: string,
  containerName?: string,
): void {
  const pod: Pod | undefined = record.pod;
  services.recorder.record(
    {
      apiVersion: "v1",
      kind: "Pod",
      namespace: record.namespace,
      name: record.name,
      uid: record.uid,
      ...(pod?.metadata.resourceVersion === undefined ? {} : { resourceVersion: pod.metadata.resourceVersion }),
      ...(containerName === undefined ? {} : { fieldPath: fieldPathOf(pod, containerName) }),
    },
    type,
    reason,
    message,
  );
}

/** Upstream's path of a container in an event: the list and the name in it. */
function fieldPathOf(pod: Pod | undefined, containerName: string): string {
  const found = podContainers(pod?.spec).find(({ name }) => name === containerName);
  return `${found?.path.replace(/\[\d+\]$/, "") ?? "spec.containers"}{${containerName}}`;
}

/** What went wrong, as a pod's status and events say it: the message, and the causes' unless it repeats what they end with; not what failed while cleaning up after it. */
export function describeError(error: unknown): string {
  if (error instanceof SuppressedError) return describeError(error.suppressed);
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? describeError(error.cause) : "";
  const last = cause.split(": ").at(-1) ?? "";
  return cause === "" || error.message.includes(last) ? error.message : `${error.message}: ${cause}`;
}
