import { type Pod, podResources } from "@peapod/api";

/** What a pod takes of the node that it is placed on, beside its place. */
export interface Demand {
  readonly cpuMilli: number;
  readonly memoryBytes: number;
  readonly ports: readonly HostPort[];
}

export interface HostPort {
  /** `TCP/8080`: ports collide within one. */
  readonly key: string;
  /** "" and 0.0.0.0 are every address. */
  readonly ip: string;
}

export function demandOf(pod: Pod): Demand {
  const { cpuRequestMilli = 0, memoryRequestBytes = 0 } = podResources(pod);
  const ports = (pod.spec?.containers ?? []).flatMap(({ ports: list = [] }) => list);
  return {
    cpuMilli: cpuRequestMilli,
    memoryBytes: memoryRequestBytes,
    ports: ports.flatMap(({ hostPort, protocol = "TCP", hostIP = "" }) =>
      hostPort === undefined || hostPort === 0 ? [] : [{ key: `${protocol}/${hostPort}`, ip: hostIP }],
    ),
  };
}

/** The same text for pods that fit where the other fits. */
export function shapeOf({ cpuMilli, memoryBytes, ports }: Demand): string {
  return `${cpuMilli} ${memoryBytes} ${ports.map(({ key, ip }) => `${key}@${ip}`).join(" ")}`;
}

export function collide(left: HostPort, right: HostPort): boolean {
  const isAny = (ip: string): boolean => ip === "" || ip === "0.0.0.0";
  return left.key === right.key && (left.ip === right.ip || isAny(left.ip) || isAny(right.ip));
}
