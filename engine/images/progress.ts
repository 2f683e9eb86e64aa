import type { PullProgress } from "./images.ts";

interface Listener {
  /** The latest of each reference: a slow reader misses steps, never the last one. */
  readonly waiting: Map<string, PullProgress>;
  wake: () => void;
}

/** Hands the progress of pulls to whoever listens. */
export class ProgressHub {
  readonly #listeners = new Set<Listener>();

  report(progress: PullProgress): void {
    for (const listener of this.#listeners) {
      listener.waiting.set(progress.reference, progress);
      listener.wake();
    }
  }

  /** What is reported from the call on, until the signal is aborted. */
  listen(signal: AbortSignal): AsyncIterable<PullProgress> {
    const listener: Listener = { waiting: new Map(), wake: () => {} };
    this.#listeners.add(listener);
    return this.#read(listener, signal);
  }

  async *#read(listener: Listener, signal: AbortSignal): AsyncGenerator<PullProgress> {
    const wake = (): void => listener.wake();
    signal.addEventListener("abort", wake, { once: true });
    try {
      while (!signal.aborted) {
        const [first] = listener.waiting.values();
        if (first === undefined) {
          await new Promise<void>((resolve) => (listener.wake = resolve));
          continue;
        }
        listener.waiting.delete(first.reference);
        yield first;
      }
    } finally {
      signal.removeEventListener("abort", wake);
      this.#listeners.delete(listener);
    }
  }
}
