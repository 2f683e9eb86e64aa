/** What can be in one roster at a time. */
export interface Rostered {
  /** The roster's own: where it is. */
  slot: number;
}

/**
 * A set of what comes and goes thousands of times a second, in no order. A `Set` makes itself a new table every so many changes, and keeps
 * the last one reachable from the one before: once one of them is old to V8, all that was in any of them stays until a full collection.
 */
export class Roster<T extends Rostered> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  /** It must not be in here, nor in another one. */
  add(member: T): void {
    member.slot = this.#members.length;
    this.#members.push(member);
  }

  /** Tells whether it was in here. */
  delete(member: T): boolean {
    if (this.#members[member.slot] !== member) return false;
    const last = this.#members.pop();
    if (last === undefined || last === member) return true;
    last.slot = member.slot;
    this.#members[last.slot] = last;
    return true;
  }

  /** Those that are in here now, whatever happens to it meanwhile. */
  [Symbol.iterator](): IterableIterator<T> {
    return [...this.#members].values();
  }
}
