/** Runs `work` for one key at a time. Notices that arrive meanwhile collapse into one more run. */
export class KeyedWorker<K> {
  readonly #work: (key: K) => Promise<void>; // owns its errors: logs, records, schedules; never rejects
  readonly #runs = new Map<K, "running" | "again">();
  readonly #drains = new Set<Promise<void>>();

  constructor(work: (key: K) => Promise<void>) {
    this.#work = work;
  }

  /** Asks for a run of `key`, now or right after the one under way. */
  notify(key: K): void {
    const busy = this.#runs.has(key);
    this.#runs.set(key, busy ? "again" : "running");
    if (busy) return;
    const drain = this.#drain(key);
    this.#drains.add(drain);
    void drain.finally(() => this.#drains.delete(drain));
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    while (this.#drains.size > 0) await Promise.all(this.#drains);
  }

  async #drain(key: K): Promise<void> {
    do {
      this.#runs.set(key, "running");
      await this.#work(key);
    } while (this.#runs.get(key) === "again");
    this.#runs.delete(key);
  }
}
