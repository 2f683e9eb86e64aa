import type { Pod } from "@peapod/api";
import { type Demand, demandOf, shapeOf } from "./demand.ts";

/** Waiting pods that take the same of a node: where one does not fit, none does. */
export class WaitingGroup {
  readonly demand: Demand;
  readonly shape: string;
  readonly pods = new Map<string, Pod>();
  /** Those, by uid, whose status may say something else than `message`. */
  readonly untold = new Set<string>();
  /** Why they fit nowhere. */
  message = "";
  /** What has to come free before it is worth a look. */
  waitsFor: readonly string[] = [];

  constructor(demand: Demand, shape: string) {
    this.demand = demand;
    this.shape = shape;
  }

  /** The pod whose turn it is. */
  get oldest(): Pod | undefined {
    let oldest: Pod | undefined;
    for (const pod of this.pods.values()) if (oldest === undefined || createdAt(pod) < createdAt(oldest)) oldest = pod;
    return oldest;
  }
}

/**
 * The pods without a node, by what they take and by what they wait for: something that comes free concerns those that lack it, and a pod more
 * among many costs what it cost among none. It holds as many as the API has.
 */
export class WaitingPods {
  readonly #groups = new Map<string, WaitingGroup>();
  readonly #groupOf = new Map<string, WaitingGroup>();
  readonly #lacking = new Map<string, Set<WaitingGroup>>();
  #due = new Set<WaitingGroup>();

  /** Takes a pod as it is now; a new one's group is due. */
  put(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    const known = this.#groupOf.get(uid);
    if (known !== undefined) return void known.pods.set(uid, pod);
    const demand = demandOf(pod);
    const shape = shapeOf(demand);
    let group = this.#groups.get(shape);
    if (group === undefined) this.#groups.set(shape, (group = new WaitingGroup(demand, shape)));
    group.pods.set(uid, pod);
    group.untold.add(uid);
    this.#groupOf.set(uid, group);
    this.#due.add(group);
  }

  delete(uid: string): void {
    const group = this.#groupOf.get(uid);
    if (group === undefined) return;
    this.#groupOf.delete(uid);
    group.pods.delete(uid);
    group.untold.delete(uid);
    if (group.pods.size > 0) return;
    this.settle(group, group.message, []);
    this.#groups.delete(group.shape);
    this.#due.delete(group);
  }

  /** Makes due what waits for any of this. */
  freed(what: readonly string[]): void {
    for (const each of what) for (const group of this.#lacking.get(each) ?? []) this.#due.add(group);
  }

  /** Makes everything due. */
  allFreed(): void {
    this.#due = new Set(this.#groups.values());
  }

  /** Makes one group due once more. */
  retry(group: WaitingGroup): void {
    if (this.#groups.get(group.shape) === group) this.#due.add(group);
  }

  /** What is due, which it then is no more. */
  takeDue(): WaitingGroup[] {
    const due = [...this.#due];
    this.#due.clear();
    return due;
  }

  /** Notes why a group fits nowhere, and what it waits for. */
  settle(group: WaitingGroup, message: string, waitsFor: readonly string[]): void {
    for (const each of group.waitsFor) {
      const others = this.#lacking.get(each);
      others?.delete(group);
      if (others?.size === 0) this.#lacking.delete(each);
    }
    group.waitsFor = waitsFor;
    for (const each of waitsFor) this.#lacking.set(each, (this.#lacking.get(each) ?? new Set()).add(group));
    if (group.message === message) return;
    group.message = message;
    for (const uid of group.pods.keys()) group.untold.add(uid);
  }
}

/** When a pod was created, as text that sorts by it. */
export function createdAt({ metadata }: Pod): string {
  return metadata.creationTimestamp ?? "";
}
