import { isPodTerminal, type Node, type Pod, podResources, quantityToMilli, quantityToNumber } from "@peapod/api";

/** Why a pod does not fit on a node, in upstream's words; empty where it fits. `placed` is every other pod of the node. */
export function misfits(pod: Pod, node: Node, placed: readonly Pod[]): string[] {
  const others = placed.filter((other) => !isPodTerminal(other));
  const { cpu, memory, pods: podLimit } = node.status?.allocatable ?? {};
  const wanted = podResources(pod);
  const sum = (of: (resources: ReturnType<typeof podResources>) => number | undefined): number =>
    others.reduce((total, other) => total + (of(podResources(other)) ?? 0), 0);
  const reasons: string[] = [];
  const cpuWanted = wanted.cpuRequestMilli ?? 0;
  if (cpu !== undefined && cpuWanted > 0 && cpuWanted + sum(({ cpuRequestMilli }) => cpuRequestMilli) > quantityToMilli(cpu))
    reasons.push("Insufficient cpu");
  const memoryWanted = wanted.memoryRequestBytes ?? 0;
  if (
    memory !== undefined &&
    memoryWanted > 0 &&
    memoryWanted + sum(({ memoryRequestBytes }) => memoryRequestBytes) > quantityToNumber(memory)
  )
    reasons.push("Insufficient memory");
  if (podLimit !== undefined && others.length + 1 > quantityToNumber(podLimit)) reasons.push("Too many pods");
  const taken = others.flatMap(hostPorts);
  if (hostPorts(pod).some((port) => taken.some((other) => collide(port, other))))
    reasons.push("node(s) didn't have free ports for the requested pod ports");
  return reasons;
}

/** The message of a pod that fits nowhere. */
export function unschedulableMessage(reasons: readonly string[], nodeCount: number): string {
  if (nodeCount === 0) return "no nodes available to schedule pods";
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).toSorted();
  return `0/${nodeCount} nodes are available: ${parts.join(", ")}.`;
}

interface HostPort {
  readonly port: number;
  readonly protocol: string;
  readonly ip: string;
}

function hostPorts(pod: Pod): HostPort[] {
  const ports = (pod.spec?.containers ?? []).flatMap(({ ports: list = [] }) => list);
  return ports.flatMap(({ hostPort, protocol = "TCP", hostIP = "" }) =>
    hostPort === undefined || hostPort === 0 ? [] : [{ port: hostPort, protocol, ip: hostIP }],
  );
}

function collide(left: HostPort, right: HostPort): boolean {
  const isAny = (ip: string): boolean => ip === "" || ip === "0.0.0.0";
  return left.port === right.port && left.protocol === right.protocol && (left.ip === right.ip || isAny(left.ip) || isAny(right.ip));
}
