import { type Node, quantityToMilli, quantityToNumber } from "@peapod/api";
import { collide, type Demand, type HostPort } from "./demand.ts";

/** What a node has too little of. */
export interface Lack {
  /** In upstream's words. */
  readonly reason: string;
  /** What a pod that lacks it waits for: `cpu`, `memory`, `places`, or a port such as `TCP/8080`. */
  readonly waitsFor: readonly string[];
}

interface Allocatable {
  readonly cpuMilli: number;
  readonly memoryBytes: number;
  readonly places: number;
}

const NONE: Allocatable = { cpuMilli: 0, memoryBytes: 0, places: 0 };

/** What one node has and what its pods take of it, kept in sums: whether a pod fits costs the same however many there are. */
export class NodeRoom {
  readonly #demands = new Map<string, Demand>();
  readonly #ports = new Map<string, HostPort[]>();
  #cpuMilli = 0;
  #memoryBytes = 0;
  #allocatable = NONE;
  #isNode = false;

  /** False while only pods name it: nothing is placed here then. */
  get isNode(): boolean {
    return this.#isNode;
  }

  get isEmpty(): boolean {
    return !this.#isNode && this.#demands.size === 0;
  }

  /** Takes the node as it is now, undefined when it is gone. True where that changes what fits. */
  setNode(node: Node | undefined): boolean {
    const allocatable = node === undefined ? NONE : allocatableOf(node);
    const isSame = this.#isNode === (node !== undefined) && sameAllocatable(this.#allocatable, allocatable);
    this.#isNode = node !== undefined;
    this.#allocatable = allocatable;
    return !isSame;
  }

  /** Counts a pod, by its uid; one that is counted stays as it was. */
  add(uid: string, demand: Demand): void {
    if (this.#demands.has(uid)) return;
    this.#demands.set(uid, demand);
    this.#cpuMilli += demand.cpuMilli;
    this.#memoryBytes += demand.memoryBytes;
    for (const port of demand.ports) this.#ports.set(port.key, [...(this.#ports.get(port.key) ?? []), port]);
  }

  /** Gives what is free now that was not, in the words of `waitsFor`. */
  remove(uid: string): string[] {
    const demand = this.#demands.get(uid);
    if (demand === undefined) return [];
    this.#demands.delete(uid);
    this.#cpuMilli -= demand.cpuMilli;
    this.#memoryBytes -= demand.memoryBytes;
    for (const port of demand.ports) {
      const left = this.#ports.get(port.key)?.filter((other) => other !== port) ?? [];
      if (left.length === 0) this.#ports.delete(port.key);
      else this.#ports.set(port.key, left);
    }
    const freed = ["places", ...demand.ports.map(({ key }) => key)];
    if (demand.cpuMilli > 0) freed.push("cpu");
    if (demand.memoryBytes > 0) freed.push("memory");
    return freed;
  }

  /** What a pod would lack here; empty where it fits. */
  lacks({ cpuMilli, memoryBytes, ports }: Demand): Lack[] {
    const lacks: Lack[] = [];
    if (cpuMilli > 0 && this.#cpuMilli + cpuMilli > this.#allocatable.cpuMilli)
      lacks.push({ reason: "Insufficient cpu", waitsFor: ["cpu"] });
    if (memoryBytes > 0 && this.#memoryBytes + memoryBytes > this.#allocatable.memoryBytes)
      lacks.push({ reason: "Insufficient memory", waitsFor: ["memory"] });
    if (this.#demands.size + 1 > this.#allocatable.places) lacks.push({ reason: "Too many pods", waitsFor: ["places"] });
    const taken = ports.filter((port) => this.#ports.get(port.key)?.some((other) => collide(port, other)));
    if (taken.length > 0)
      lacks.push({ reason: "node(s) didn't have free ports for the requested pod ports", waitsFor: taken.map(({ key }) => key) });
    return lacks;
  }
}

/** What a node does not say it has no bound. */
function allocatableOf({ status }: Node): Allocatable {
  const { cpu, memory, pods } = status?.allocatable ?? {};
  return {
    cpuMilli: cpu === undefined ? Infinity : quantityToMilli(cpu),
    memoryBytes: memory === undefined ? Infinity : quantityToNumber(memory),
    places: pods === undefined ? Infinity : quantityToNumber(pods),
  };
}

function sameAllocatable(left: Allocatable, right: Allocatable): boolean {
  return left.cpuMilli === right.cpuMilli && left.memoryBytes === right.memoryBytes && left.places === right.places;
}
