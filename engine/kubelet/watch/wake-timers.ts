import { type Clock, untilAborted } from "@peapod/kit";

/** At most one alarm for each key, the earliest asked for; a few timers in all, by the monotonic clock. */
export class WakeTimers {
  readonly #clock: Clock;
  readonly #wake: (key: string) => void;
  readonly #alarms = new Map<string, { readonly atMs: number; readonly cancel: AbortController }>();
  #isStopped = false;

  constructor(clock: Clock, wake: (key: string) => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Wakes `key` at a time, unless it is woken earlier anyway. */
  wakeAt(key: string, atMs: number): void {
    const alarm = this.#alarms.get(key);
    if (this.#isStopped || (alarm !== undefined && alarm.atMs <= atMs)) return;
    alarm?.cancel.abort();
    const next = { atMs, cancel: new AbortController() };
    this.#alarms.set(key, next);
    void this.#sleep(key, next);
  }

  /** Cancels every alarm when the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await untilAborted(signal);
    this.#isStopped = true;
    for (const { cancel } of this.#alarms.values()) cancel.abort();
  }

  async #sleep(key: string, alarm: { readonly atMs: number; readonly cancel: AbortController }): Promise<void> {
    try {
      await this.#clock.sleep(Math.max(0, alarm.atMs - this.#clock.monotonicMs()), alarm.cancel.signal);
    } catch {
      return; // cancelled: another alarm took its place, or nothing is to be woken any more
    }
    this.#alarms.delete(key);
    this.#wake(key);
  }
}
