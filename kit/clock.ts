import { delay } from "./timers.ts";

/** The time, as an argument: a test passes its own. */
export interface Clock {
  /** Milliseconds since the epoch, by the machine's wall clock, which may step either way: for what is shown and stored. */
  nowMs(): number;
  /** Milliseconds since some moment before, never stepping: for durations, deadlines and back-offs. Means nothing in another process. */
  monotonicMs(): number;
  /** Resolves after `ms`, however long; rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/**
 * When something that was stored by the wall clock happened, by the monotonic one: never later than now, so that a duration counted from
 * it is never longer than it is as a whole, however the wall clock was stepped meanwhile.
 */
export function monotonicOf(clock: Pick<Clock, "nowMs" | "monotonicMs">, storedMs: number): number {
  return clock.monotonicMs() - Math.max(0, clock.nowMs() - storedMs);
}

/** When something by the monotonic clock is or was, by the wall clock as it stands now: to be shown. */
export function wallOf(clock: Pick<Clock, "nowMs" | "monotonicMs">, atMs: number): number {
  return Math.round(clock.nowMs() + atMs - clock.monotonicMs());
}

/** The machine's own clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: delay,
};
