import type { Container, Pod, ResourceRequirements } from "../generated.ts";
import { lastingRoles, podContainers } from "./containers.ts";
import { parseQuantity, quantityToMilli, quantityToNumber } from "../values/quantity.ts";

/** The class that decides who is ended first when memory runs out. */
export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";

/** What a container, or a pod in sum, asks for and is limited to; undefined: nothing said. */
export interface Resources {
  readonly cpuRequestMilli: number | undefined;
  readonly cpuLimitMilli: number | undefined;
  readonly memoryRequestBytes: number | undefined;
  readonly memoryLimitBytes: number | undefined;
}

const SMALLEST_SHARES = 2;
const LARGEST_SHARES = 262_144;
const SMALLEST_QUOTA_MICROS = 1_000;
const PERIOD_MICROS = 100_000;

/** A pod is Guaranteed when every container's requests of cpu and memory equal its limits, BestEffort when none says anything. */
export function qosClass(pod: Pod): QosClass {
  const all = podContainers(pod.spec, lastingRoles).map(({ container }) => qosResources(container));
  if (all.every(({ requests, limits }) => requests.size + limits.size === 0)) return "BestEffort";
  const guaranteed = all.every(({ requests, limits }) =>
    ["cpu", "memory"].every((name) => limits.has(name) && requests.get(name) === limits.get(name)),
  );
  return guaranteed ? "Guaranteed" : "Burstable";
}

/** A container's requests and limits as numbers; a request left out is the limit. */
export function containerResources(container: Container): Resources {
  const { requests = {}, limits = {} } = container.resources ?? {};
  const cpuLimitMilli = optional(limits["cpu"], quantityToMilli);
  const memoryLimitBytes = optional(limits["memory"], quantityToNumber);
  return {
    cpuRequestMilli: optional(requests["cpu"], quantityToMilli) ?? cpuLimitMilli,
    cpuLimitMilli,
    memoryRequestBytes: optional(requests["memory"], quantityToNumber) ?? memoryLimitBytes,
    memoryLimitBytes,
  };
}

/** The sums over a pod's containers; a limit only where every container has one. */
export function podResources(pod: Pod): Resources {
  const all = podContainers(pod.spec, ["application"]).map(({ container }) => containerResources(container));
  const values = (name: keyof Resources): number[] => all.map((each) => each[name]).filter((value) => value !== undefined);
  const sum = (numbers: number[]): number => numbers.reduce((total, value) => total + value, 0);
  const request = (name: keyof Resources): number | undefined => (values(name).length === 0 ? undefined : sum(values(name)));
  // A limit of 0 says "none", as in the kernel's own files.
  const limit = (name: keyof Resources): number | undefined =>
    all.length > 0 && values(name).filter((value) => value > 0).length === all.length ? sum(values(name)) : undefined;
  return {
    cpuRequestMilli: request("cpuRequestMilli"),
    cpuLimitMilli: limit("cpuLimitMilli"),
    memoryRequestBytes: request("memoryRequestBytes"),
    memoryLimitBytes: limit("memoryLimitBytes"),
  };
}

/** cgroup cpu.shares of a request: 1024 for a CPU, at least 2. */
export function cpuShares(milli: number): number {
  return Math.min(LARGEST_SHARES, Math.max(SMALLEST_SHARES, Math.floor((milli * 1024) / 1000)));
}

/** cgroup cpu quota of a limit in microseconds for each period, at least 1000. */
export function cpuQuotaMicros(milli: number, periodMicros: number = PERIOD_MICROS): number {
  return Math.max(SMALLEST_QUOTA_MICROS, Math.floor((milli * periodMicros) / 1000));
}

/** The kernel's oom_score_adj of a container's processes: the lower, the later it is ended when memory runs out. */
export function oomScoreAdj(pod: Pod, container: Container, nodeMemoryBytes: number): number {
  const quality = qosClass(pod);
  if (quality === "Guaranteed") return -997;
  const requestBytes = containerResources(container).memoryRequestBytes ?? 0;
  if (quality === "BestEffort" || nodeMemoryBytes <= 0) return 1000;
  return Math.min(999, Math.max(3, 1000 - Math.floor((1000 * requestBytes) / nodeMemoryBytes)));
}

function qosResources({ resources = {} }: Container): { requests: Map<string, bigint>; limits: Map<string, bigint> } {
  const { requests = {}, limits = {} } = resources;
  return { requests: amounts({ ...limits, ...requests }), limits: amounts(limits) }; // a request of 0 is one: no limit stands in for it
}

/** cpu and memory above zero: what counts for the class. */
function amounts(list: ResourceRequirements["limits"] = {}): Map<string, bigint> {
  const found = new Map<string, bigint>();
  for (const name of ["cpu", "memory"]) {
    const nanos = parseQuantity(list[name] ?? "0")?.nanos ?? 0n;
    if (nanos > 0n) found.set(name, nanos);
  }
  return found;
}

function optional(text: string | undefined, read: (text: string) => number): number | undefined {
  return text === undefined ? undefined : read(text);
}
