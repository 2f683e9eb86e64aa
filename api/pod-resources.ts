import type { Container, Pod } from "./generated.ts";
/** The class that decides who is ended first when memory runs out. */
export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";
export function qosClass(_pod: Pod): QosClass {
  throw new Error("Not written yet");
}
/** What a container, or a pod in sum, asks for and is limited to; undefined: nothing said. */
export interface Resources {
  readonly cpuRequestMilli: number | undefined;
  readonly cpuLimitMilli: number | undefined;
  readonly memoryRequestBytes: number | undefined;
  readonly memoryLimitBytes: number | undefined;
}
/** A container's requests and limits as numbers; a request left out is the limit. */
export function containerResources(_container: Container): Resources {
  throw new Error("Not written yet");
}
/** The sums over a pod's containers; a limit only where every container has one. */
export function podResources(_pod: Pod): Resources {
  throw new Error("Not written yet");
}
/** cgroup cpu.shares of a request, at least 2. */
export function cpuShares(_milli: number): number {
  throw new Error("Not written yet");
}
/** cgroup cpu quota of a limit in microseconds for each period, at least 1000. */
export function cpuQuotaMicros(_milli: number, _periodMicros?: number): number {
  throw new Error("Not written yet");
}
/** The kernel's oom_score_adj of a container's processes. */
export function oomScoreAdj(_pod: Pod, _container: Container, _nodeMemoryBytes: number): number {
  throw new Error("Not written yet");
}
