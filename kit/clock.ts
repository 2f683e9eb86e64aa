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

/** The machine's own clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: delay,
};
