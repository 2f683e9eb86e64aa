import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "@peapod/kit";

interface Sleeper {
  readonly untilMs: number;
  readonly wake: () => void;
}

const HOUR_MS = 3_600_000;

/** A clock that a test moves: nobody sleeps in real time. Its wall clock steps with each move, an hour either way: nothing may depend on it. */
export class ManualClock implements Clock {
  readonly #sleepers = new Set<Sleeper>();
  #nowMs = 1_000_000;

  /** How far the wall clock is from the monotonic one. */
  #aheadMs = 0;

  nowMs(): number {
    return this.#nowMs + this.#aheadMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  /** How many sleep. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const sleeper = { untilMs: this.#nowMs + ms, wake: done };
      const sleepers = this.#sleepers;
      sleepers.add(sleeper);
      signal.addEventListener("abort", stop);
      function done(): void {
        sleepers.delete(sleeper);
        signal.removeEventListener("abort", stop);
        resolve();
      }
      function stop(): void {
        sleepers.delete(sleeper);
        reject(signal.reason);
      }
    });
  }

  /** Moves the time on, wakes who slept until then, in order, and lets what follows of it happen. */
  async advance(ms: number): Promise<void> {
    await turn(); // what is under way comes first
    this.#aheadMs = this.#aheadMs === 0 ? HOUR_MS : this.#aheadMs === HOUR_MS ? -HOUR_MS : 0;
    const endMs = this.#nowMs + ms;
    for (;;) {
      const [next] = [...this.#sleepers].filter(({ untilMs }) => untilMs <= endMs).toSorted((a, b) => a.untilMs - b.untilMs);
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.untilMs);
      next.wake();
      await turn();
    }
    this.#nowMs = endMs;
    await turn();
  }
}
