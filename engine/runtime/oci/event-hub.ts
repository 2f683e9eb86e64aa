import type { RuntimeEvent } from "../runtime.ts";

/** Hands events to everybody who listens. One listener's unread events of one container or sandbox are one event. */
export class EventHub {
  readonly #listeners = new Set<Listener>();

  publish(event: RuntimeEvent): void {
    for (const listener of this.#listeners) {
      listener.waiting.set("sandboxId" in event ? event.sandboxId : event.containerId, event);
      listener.wake();
    }
  }

  /** Ends when the signal is aborted. Listens from the call on, not from the first `next`. */
  subscribe(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const listener: Listener = { waiting: new Map(), wake: () => {} };
    this.#listeners.add(listener);
    const end = (): void => {
      this.#listeners.delete(listener);
      listener.wake();
    };
    if (signal.aborted) end();
    signal.addEventListener("abort", end, { once: true });
    return this.#drain(listener, signal, end);
  }

  async *#drain(listener: Listener, signal: AbortSignal, end: () => void): AsyncGenerator<RuntimeEvent> {
    try {
      while (!signal.aborted) {
        const events = [...listener.waiting.values()];
        listener.waiting.clear();
        yield* events;
        if (listener.waiting.size > 0 || signal.aborted) continue;
        const { promise, resolve } = Promise.withResolvers<void>();
        listener.wake = resolve;
        await promise;
      }
    } finally {
      signal.removeEventListener("abort", end);
      this.#listeners.delete(listener);
    }
  }
}

interface Listener {
  readonly waiting: Map<string, RuntimeEvent>;
  wake: () => void;
}
