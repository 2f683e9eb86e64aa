import type { Clock } from "./clock.ts";
import { delay } from "./timers.ts";

/** A clock for tests: its time runs `speed` times as fast as the machine's, and its wall clock is stepped at will. */
export class SteppingClock implements Clock {
  readonly #speed: number;
  readonly #startMs = Date.now();
  readonly #startedMs = performance.now();
  #steppedMs = 0;

  constructor(speed = 1) {
    this.#speed = speed;
  }

  /** Moves the wall clock, either way. */
  step(ms: number): void {
    this.#steppedMs += ms;
  }

  nowMs(): number {
    return this.#startMs + this.#steppedMs + this.monotonicMs();
  }

  monotonicMs(): number {
    return (performance.now() - this.#startedMs) * this.#speed;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    await delay(ms / this.#speed, signal);
  }
}
