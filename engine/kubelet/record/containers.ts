import { monotonicOf } from "@peapod/kit";
import type { Container } from "../../runtime/runtime.ts";
import type { ContainerSeen, Ended } from "../decide/pod-seen.ts";
import { seenState, type Times, unknownEnd } from "./ends.ts";

/** A kill under way. */
export interface Killing {
  readonly graceSeconds: number;
}

/** What is remembered of a pod's containers, each start for itself. */
export class Containers {
  readonly #specHash: (name: string) => string;
  readonly #known = new Map<string, Container>();
  /** When those that ended did so, by id, by the monotonic clock. */
  readonly #ends = new Map<string, number>();
  /** Those that ended and that the runtime does not know, by name. */
  readonly #lostEnds = new Map<string, ContainerSeen>();
  readonly #killing = new Map<string, Killing>();

  /** `specHash` says what of a container's specification, changed, wants a new one. */
  constructor(specHash: (name: string) => string) {
    this.#specHash = specHash;
  }

  /** As the runtime last showed them. */
  get all(): readonly Container[] {
    return [...this.#known.values()];
  }

  /** Whether any runs. */
  get isRunning(): boolean {
    return this.all.some(({ state }) => state.kind === "running");
  }

  /** The facts that plan and status are made from: those that the runtime has, and the ends of others, by attempt. */
  get seen(): readonly ContainerSeen[] {
    const known = this.all.map((container) => this.#seen(container));
    const lost = [...this.#lostEnds.values()].filter(
      (end) => !known.some(({ name, attempt }) => name === end.name && attempt === end.attempt),
    );
    return [...known, ...lost].toSorted((left, right) => left.attempt - right.attempt);
  }

  get(id: string): Container | undefined {
    return this.#known.get(id);
  }

  isBeingKilled(id: string): boolean {
    return this.#killing.has(id);
  }

  /** An earlier engine left one so. */
  adopted(container: Container, clock: Times): void {
    this.#known.set(container.id, container);
    if ("finishedAtMs" in container.state) this.#ends.set(container.id, monotonicOf(clock, container.state.finishedAtMs));
  }

  /** The runtime shows one so; where it has ended, it did so just now. */
  looked(container: Container, clock: Times): void {
    this.#known.set(container.id, container);
    if ("finishedAtMs" in container.state && !this.#ends.has(container.id)) this.#ends.set(container.id, clock.monotonicMs());
  }

  /** Nothing is left of one: it was removed. */
  removed(id: string): void {
    this.#known.delete(id);
    this.#ends.delete(id);
  }

  /** The runtime knows one no more, though nobody removed it: what ran ended, nobody knows how. */
  lost(id: string, clock: Times): void {
    const container = this.#known.get(id);
    const state = container === undefined ? undefined : this.#seen(container).state;
    this.removed(id);
    this.#killing.delete(id);
    if (container === undefined || state === undefined) return;
    if (state.kind === "running") this.ended(container.name, container.attempt, unknownEnd(clock.nowMs(), clock.monotonicMs()));
    else if (state.kind === "ended") this.ended(container.name, container.attempt, state);
  }

  /** One ended that the runtime is about to forget, or never knew. */
  ended(name: string, attempt: number, end: Ended): void {
    this.#lostEnds.set(name, { id: undefined, name, attempt, specHash: this.#specHash(name), sandboxId: undefined, state: end });
  }

  /** One is being stopped, with so much grace as a whole; gives what `killEnded` takes. */
  killBegins(id: string, graceSeconds: number): Killing {
    const killing = { graceSeconds };
    this.#killing.set(id, killing);
    return killing;
  }

  /** The stop is over, unless another has begun since. */
  killEnded(id: string, killing: Killing): void {
    if (this.#killing.get(id) === killing) this.#killing.delete(id);
  }

  /** Nothing is left of any. */
  gone(): void {
    this.#known.clear();
    this.#ends.clear();
  }

  #seen(container: Container): ContainerSeen {
    const { id, name, attempt, specHash, sandboxId } = container;
    const killing = this.#killing.get(id);
    const state = seenState(container, this.#ends.get(id) ?? 0);
    return { id, name, attempt, specHash, sandboxId, state, ...(killing === undefined ? {} : { killing }) };
  }
}
