import type { RuntimeEvent } from "../runtime.ts";

/** At the limit the oldest event is dropped: they are only hints. */
const WAITING_LIMIT = 1_000;

/** Hands each event to every subscriber. */
export class FakeEvents {
  readonly #subscribers = new Set<(event: RuntimeEvent) => void>();

  publish(event: RuntimeEvent): void {
    for (const tell of this.#subscribers) tell(event);
  }

  /** Events from the moment it is called; ends when the signal is aborted. */
  subscribe(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const waiting: RuntimeEvent[] = [];
    let wake = (): void => {};
    const tell = (event: RuntimeEvent): void => {
      waiting.push(event);
      if (waiting.length > WAITING_LIMIT) waiting.shift();
      wake();
    };
    this.#subscribers.add(tell);
    signal.addEventListener(
      "abort",
      () => {
        this.#subscribers.delete(tell);
        wake();
      },
      { once: true },
    );
    return (async function* () {
      while (!signal.aborted) {
        const event = waiting.shift();
        if (event !== undefined) {
          yield event;
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    })();
  }
}
