interface Listener<T> {
  readonly waiting: Map<string, T>;
  wake: () => void;
}

/** Hands values to everybody who listens. Of each key a listener gets the latest alone: a slow one misses steps, never the last. */
export class LatestHub<T> {
  readonly #listeners = new Set<Listener<T>>();

  publish(key: string, value: T): void {
    for (const listener of this.#listeners) {
      listener.waiting.set(key, value);
      listener.wake();
    }
  }

  /** What is published from the call on, not from the first `next`, until the signal is aborted. */
  listen(signal: AbortSignal): AsyncIterable<T> {
    const listener: Listener<T> = { waiting: new Map(), wake: () => {} };
    const end = (): void => {
      this.#listeners.delete(listener);
      listener.wake();
    };
    if (!signal.aborted) this.#listeners.add(listener);
    signal.addEventListener("abort", end, { once: true });
    return this.#read(listener, signal, end);
  }

  async *#read(listener: Listener<T>, signal: AbortSignal, end: () => void): AsyncGenerator<T> {
    try {
      while (!signal.aborted) {
        const [first] = listener.waiting;
        if (first === undefined) {
          await new Promise<void>((resolve) => (listener.wake = resolve));
          continue;
        }
        listener.waiting.delete(first[0]);
        yield first[1];
      }
    } finally {
      signal.removeEventListener("abort", end);
      this.#listeners.delete(listener);
    }
  }
}
