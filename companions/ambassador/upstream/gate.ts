import { type Clock, systemClock } from "@peapod/kit";
import type { LimitsConfig } from "../config/config.ts";
import { AmbassadorError } from "../errors.ts";
import { type Bucket, fullBucket, takeToken } from "./bucket.ts";

/** Who is turned away, and why, since the gate was made. */
export interface GateCounts {
  /** Let in, at once or after a wait. */
  readonly entered: number;
  /** LIMIT_REACHED: neither a place nor room to wait for one, or the wait was too long. */
  readonly limited: number;
  /** RATE_LIMITED. */
  readonly rateLimited: number;
}

/**
 * Lets as many in at a time as the limits say, and as many a second. Who finds no place waits in line, where there is one, first come first
 * served; nobody overtakes. The rate is asked when somebody comes, not when a place is had.
 */
export class Gate {
  readonly #limits: LimitsConfig;
  readonly #clock: Clock;
  readonly #line = new Set<Waiter>(); // in the order of their coming; when it is not empty, all places are taken
  readonly #counts = { entered: 0, limited: 0, rateLimited: 0 };
  readonly #closing = new AbortController();
  readonly #places: Places;
  #bucket: Bucket | undefined;
  #isExpiring = false;

  /** `before`: the gate that this one takes over from. Who is in there counts here as well, who waits there comes first, and this one's places are both's. */
  constructor(limits: LimitsConfig, options: { readonly clock?: Clock; readonly before?: Gate | undefined } = {}) {
    this.#limits = limits;
    const { before } = options;
    this.#places = before === undefined ? { inside: 0, gates: [] } : before.#places;
    this.#places.gates.push(this);
    this.#clock = options.clock ?? systemClock;
    if (limits.rate !== undefined) this.#bucket = fullBucket(limits.rate, this.#clock.monotonicMs());
    this.#serve(); // there may be more places than before
  }

  /** Who is in, through the gates before this one too. */
  get inside(): number {
    return this.#places.inside;
  }

  /** Who waits. */
  get queued(): number {
    return this.#line.size;
  }

  get counts(): GateCounts {
    return { ...this.#counts };
  }

  /** A place, if that takes no wait and nothing is against it; else `enter` waits, or says what is. Its place is free again once disposed of. */
  tryEnter(): Disposable | undefined {
    if (this.#isClosed || this.#isFull || !this.#takeToken()) return undefined;
    return this.#admit();
  }

  /** A place, after a wait where need be. Throws LIMIT_REACHED, RATE_LIMITED, DRAINING once the gate is closed, or the signal's reason. */
  async enter(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#isClosed) throw draining();
    const { connections, queue } = this.#limits;
    const isFull = this.#isFull;
    if (isFull && this.#line.size >= queue.length) throw this.#limited(`${connections} connections are made, as many as may be`);
    if (!this.#takeToken()) throw this.#rateLimited();
    return isFull ? await this.#wait(signal) : this.#admit();
  }

  /** Lets nobody in any more: who waits hears DRAINING. Who is in may stay. Safe to repeat. */
  close(): void {
    this.#closing.abort();
    for (const waiter of this.#line) waiter.reject(draining());
    this.#line.clear();
    const { gates } = this.#places;
    if (gates.includes(this)) gates.splice(gates.indexOf(this), 1);
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  async #wait(signal: AbortSignal): Promise<Disposable> {
    const { promise, resolve, reject } = Promise.withResolvers<Disposable>();
    const waiter: Waiter = { resolve, reject, untilMs: this.#clock.monotonicMs() + this.#limits.queue.timeoutMs };
    const leave = (): void => {
      if (this.#line.delete(waiter)) reject(signal.reason);
    };
    this.#line.add(waiter);
    signal.addEventListener("abort", leave, { once: true });
    if (!this.#isExpiring) void this.#expire();
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** Turns away whose time is over. All wait equally long, so the first in line is the first to go: one sleep is enough. */
  async #expire(): Promise<void> {
    this.#isExpiring = true;
    for (let [first] = this.#line; first !== undefined; [first] = this.#line) {
      const leftMs = first.untilMs - this.#clock.monotonicMs();
      if (leftMs > 0) {
        await this.#clock.sleep(leftMs, this.#closing.signal).catch(() => {}); // closed: nobody waits any more
      } else {
        this.#line.delete(first);
        first.reject(this.#limited(`No connection became free within ${this.#limits.queue.timeoutMs} ms`));
      }
    }
    this.#isExpiring = false;
  }

  #admit(): Disposable {
    this.#places.inside += 1;
    this.#counts.entered += 1;
    return new Pass(this.#leave);
  }

  readonly #leave = (): void => {
    this.#places.inside -= 1;
    this.#serve();
  };

  /** Hands free places to the first in line, the oldest gate's before the others', so that nobody comes in between. */
  #serve(): void {
    for (const gate of this.#places.gates) {
      for (const waiter of gate.#line) {
        if (this.#isFull) return;
        gate.#line.delete(waiter);
        waiter.resolve(gate.#admit());
      }
    }
  }

  /** By the limits of the newest gate. */
  get #isFull(): boolean {
    const { inside, gates } = this.#places;
    return inside >= (gates.at(-1) ?? this).#limits.connections;
  }

  #takeToken(): boolean {
    const { rate } = this.#limits;
    if (rate === undefined || this.#bucket === undefined) return true;
    const left = takeToken(this.#bucket, rate, this.#clock.monotonicMs());
    if (left === undefined) return false;
    this.#bucket = left;
    return true;
  }

  #limited(message: string): AmbassadorError {
    this.#counts.limited += 1;
    return new AmbassadorError("LIMIT_REACHED", message);
  }

  #rateLimited(): AmbassadorError {
    this.#counts.rateLimited += 1;
    const { perSecond = 0, burst = 0 } = this.#limits.rate ?? {};
    return new AmbassadorError("RATE_LIMITED", `More connections than ${perSecond} a second and ${burst} at once`);
  }
}

/** What gates share of which each took over from the one before. */
interface Places {
  inside: number;
  /** Those that are open, in the order of their making. */
  readonly gates: Gate[];
}

interface Waiter {
  readonly untilMs: number;
  readonly resolve: (pass: Disposable) => void;
  readonly reject: (reason: unknown) => void;
}

/** A place inside, until it is disposed of. */
class Pass implements Disposable {
  #leave: (() => void) | undefined;

  constructor(leave: () => void) {
    this.#leave = leave;
  }

  [Symbol.dispose](): void {
    const leave = this.#leave;
    this.#leave = undefined;
    leave?.();
  }
}

function draining(): AmbassadorError {
  return new AmbassadorError("DRAINING", "The ambassador takes no more connections");
}
