import type { Demand } from "./demand.ts";
import type { NodeRoom } from "./node-room.ts";

/** Where a pod goes, or why it goes nowhere and what would have to come free. */
export type Verdict =
  | { readonly kind: "fits"; readonly nodeName: string }
  | { readonly kind: "unschedulable"; readonly message: string; readonly waitsFor: readonly string[] };

/** The first node that a pod fits on; a room without its node is none. */
export function findNode(demand: Demand, rooms: ReadonlyMap<string, NodeRoom>): Verdict {
  const lacks = [];
  let nodeCount = 0;
  for (const [nodeName, room] of rooms) {
    if (!room.isNode) continue;
    nodeCount += 1;
    const here = room.lacks(demand);
    if (here.length === 0) return { kind: "fits", nodeName };
    lacks.push(...here);
  }
  const message = unschedulableMessage(
    lacks.map(({ reason }) => reason),
    nodeCount,
  );
  return { kind: "unschedulable", message, waitsFor: [...new Set(lacks.flatMap(({ waitsFor }) => waitsFor))] };
}

function unschedulableMessage(reasons: readonly string[], nodeCount: number): string {
  if (nodeCount === 0) return "no nodes available to schedule pods";
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).toSorted();
  return `0/${nodeCount} nodes are available: ${parts.join(", ")}.`;
}
