import { type BackoffCurve, backoffMs } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import type { Logger } from "./log.ts";

const CURVE: BackoffCurve = { initialMs: 5_000, maximumMs: 300_000 };

/**
 * Removes what is left over, without anything depending on it: what fails is logged and tried again, ever more rarely, until it succeeds
 * or the signal is aborted. For what is found at start, and for everything foreign: a folder that cannot be removed ends nobody.
 */
export class Cleanups {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  readonly #waiting = new Set<string>();

  constructor({ clock, log, signal }: { clock: Clock; log: Logger; signal: AbortSignal }) {
    this.#clock = clock;
    this.#log = log;
    this.#signal = signal;
  }

  /** What waits to be tried again, by name. */
  get waiting(): readonly string[] {
    return [...this.#waiting];
  }

  /** Tries now, and leaves what fails to be tried again. Never rejects; gives whether it is done. `act` must be safe to repeat. */
  async attempt(what: string, act: () => void | Promise<void>): Promise<boolean> {
    if (this.#waiting.has(what)) return false;
    try {
      await act();
      return true;
    } catch (error) {
      this.#log.warn("clean-up failed, tried again later", { what, error });
      this.#waiting.add(what);
      void this.#repeat(what, act);
      return false;
    }
  }

  async #repeat(what: string, act: () => void | Promise<void>): Promise<void> {
    for (let failures = 0; !this.#signal.aborted; failures += 1) {
      try {
        await this.#clock.sleep(backoffMs(CURVE, failures), this.#signal);
        await act();
        this.#log.info("clean-up done at last", { what });
        break;
      } catch (error) {
        if (!this.#signal.aborted) this.#log.warn("clean-up failed again", { what, error });
      }
    }
    this.#waiting.delete(what);
  }
}
