import type { Node } from "../generated.ts";
import { age } from "../values/durations.ts";

/** A node's cells, in the order of the node columns, by upstream's printNode. */
export function nodeCells(node: Node, nowMs: number): string[] {
  const info = node.status?.nodeInfo;
  return [
    node.metadata.name ?? "",
    condition(node),
    roles(node),
    age(node.metadata.creationTimestamp, nowMs),
    info?.kubeletVersion ?? "",
    address(node, "InternalIP"),
    address(node, "ExternalIP"),
    orUnknown(info?.osImage),
    orUnknown(info?.kernelVersion),
    orUnknown(info?.containerRuntimeVersion),
  ];
}

function condition(node: Node): string {
  const ready = (node.status?.conditions ?? []).find(({ type }) => type === "Ready");
  const states = [ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady"];
  if (node.spec?.unschedulable === true) states.push("SchedulingDisabled");
  return states.join(",");
}

const rolePrefix = "node-role.kubernetes.io/";

function roles(node: Node): string {
  const found = new Set<string>();
  for (const [key, value] of Object.entries(node.metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix)) found.add(key.slice(rolePrefix.length));
    else if (key === "kubernetes.io/role") found.add(value);
  }
  found.delete("");
  return found.size === 0 ? "<none>" : [...found].sort().join(",");
}

function address(node: Node, wanted: string): string {
  return (node.status?.addresses ?? []).find(({ type }) => type === wanted)?.address ?? "<none>";
}

function orUnknown(text: string | undefined): string {
  return text === undefined || text === "" ? "<unknown>" : text;
}
