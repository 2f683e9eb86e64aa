import { type Clock, type Logger, untilAborted } from "@peapod/kit";
import type { HealthCheckConfig } from "../config/config.ts";
import { AmbassadorError } from "../errors.ts";
import type { Place } from "./endpoint.ts";
import { nameFailure } from "./name-failure.ts";
import type { CheckOutcome } from "./standing.ts";
import type { Check, Target } from "./upstream.ts";
import { within } from "./within.ts";

interface CheckParts {
  readonly config: HealthCheckConfig;
  readonly check: Check;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly onOutcome: (place: Place, outcome: CheckOutcome) => void;
}

/** Checks each place again and again: one check of it at a time, the first at once, then after the interval, more or less a tenth. */
export class HealthChecks {
  readonly #parts: CheckParts;
  readonly #loops = new Map<Place, { readonly stop: AbortController; readonly ended: Promise<void> }>();
  readonly #broken = Promise.withResolvers<never>();
  #signal: AbortSignal | undefined;

  constructor(parts: CheckParts) {
    this.#parts = parts;
    this.#broken.promise.catch(() => {}); // until run waits for it
  }

  /** Checks these until the signal is aborted, and resolves when no check runs any more. */
  async run(places: readonly Place[], signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    this.follow(places);
    try {
      await Promise.race([untilAborted(signal), this.#broken.promise]);
    } finally {
      const loops = [...this.#loops.values()];
      this.#loops.clear();
      for (const { stop } of loops) stop.abort(signal.reason);
      await Promise.all(loops.map(({ ended }) => ended));
    }
  }

  /** Checks these from now on, and those that are not among them no more. Nothing while it does not run. */
  follow(places: readonly Place[]): void {
    if (this.#signal === undefined || this.#signal.aborted) return;
    for (const [place, { stop }] of this.#loops) {
      if (places.includes(place)) continue;
      stop.abort();
      this.#loops.delete(place);
    }
    for (const place of places) {
      const { target } = place;
      if (target === undefined || this.#loops.has(place)) continue;
      const stop = new AbortController();
      this.#loops.set(place, { stop, ended: this.#loop(place, target, stop.signal) });
    }
  }

  async #loop(place: Place, target: Target, signal: AbortSignal): Promise<void> {
    const { config, clock, random, onOutcome } = this.#parts;
    try {
      while (!signal.aborted) {
        const outcome = await this.#checkOnce(target, signal);
        if (signal.aborted) return;
        onOutcome(place, outcome);
        await clock.sleep(config.everyMs * (0.9 + 0.2 * random()), signal);
        if (!isInUse(place)) {
          this.#loops.delete(place);
          return;
        }
      }
    } catch (cause) {
      if (!signal.aborted) this.#broken.reject(cause); // a bug, told by run
    }
  }

  async #checkOnce(target: Target, signal: AbortSignal): Promise<CheckOutcome> {
    const { config, check, clock, log } = this.#parts;
    const message = `The health check of ${target.endpoint} took longer than ${config.timeoutMs} ms`;
    const timeoutError = (): Error => new AmbassadorError("UPSTREAM_TIMEOUT", message);
    try {
      const role = await within({ ms: config.timeoutMs, signal, timeoutError }, (checkSignal) => check(target, checkSignal.signal));
      return { kind: "passed", role };
    } catch (cause) {
      if (!(cause instanceof AmbassadorError) && !signal.aborted) log.error("a health check failed in a way it may not", { cause });
      const told = nameFailure(cause, target);
      const failure = told instanceof AmbassadorError ? told : new AmbassadorError("UPSTREAM_PROTOCOL", String(cause));
      return { kind: "failed", failure: { code: failure.code, message: failure.message, atMs: clock.monotonicMs() } };
    }
  }
}

/** An address that its name has left is looked at as long as it has connections. */
function isInUse(place: Place): boolean {
  return place.connections > 0 || place.owner.places.includes(place);
}
