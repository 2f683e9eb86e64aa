/** Which side of a connection. */
export type SideIndex = 0 | 1;
export const CLIENT: SideIndex = 0;
export const UPSTREAM: SideIndex = 1;

/** How many connections the pump takes at a time; what is more stays with the event loop. */
export const PLACES = 16_384;

/**
 * What the pump writes down of its connections, each in a place of its own, and the event loop reads whenever it is asked: memory that both
 * threads share. Only the pump writes, and each number is written as a whole, so nobody waits. What is not in use takes no memory.
 */
export class Counts {
  readonly memory: SharedArrayBuffer;
  readonly #bytes: Float64Array;
  readonly #unsent: Int32Array;
  readonly #last: Int8Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(PLACES * (2 * 8 + 2 * 4 + 1))) {
    this.memory = memory;
    this.#bytes = new Float64Array(memory, 0, PLACES * 2);
    this.#unsent = new Int32Array(memory, PLACES * 16, PLACES * 2);
    this.#last = new Int8Array(memory, PLACES * 24, PLACES);
  }

  /** Begins anew. */
  clear(place: number): void {
    this.#bytes.fill(0, place * 2, place * 2 + 2);
    this.#unsent.fill(0, place * 2, place * 2 + 2);
    this.#last[place] = -1;
  }

  /** Bytes came from a side. */
  add(place: number, side: SideIndex, count: number): void {
    const index = place * 2 + side;
    this.#bytes[index] = (this.#bytes[index] ?? 0) + count;
    this.#last[place] = side;
  }

  /** So many bytes are kept until a side takes them. */
  setUnsent(place: number, side: SideIndex, count: number): void {
    this.#unsent[place * 2 + side] = count;
  }

  bytesFrom(place: number, side: SideIndex): number {
    return this.#bytes[place * 2 + side] ?? 0;
  }

  unsentTo(place: number, side: SideIndex): number {
    return this.#unsent[place * 2 + side] ?? 0;
  }

  /** Who sent last; undefined: nobody since `clear`. */
  lastFrom(place: number): SideIndex | undefined {
    const last = this.#last[place];
    return last === 0 || last === 1 ? last : undefined;
  }
}
