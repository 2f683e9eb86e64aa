/** Lets one at a time do something to each key. */
export class KeyedLock {
  readonly #held = new Map<string, Promise<void>>();

  /** Waits until nobody holds `key`, and holds it until `work` is done. Rejects with the signal's reason where that is aborted meanwhile. */
  async hold<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      for (let held = this.#held.get(key); held !== undefined; held = this.#held.get(key)) await Promise.race([held, aborted]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held.set(key, promise);
    try {
      return await work();
    } finally {
      this.#held.delete(key);
      resolve();
    }
  }
}
