import { HistoryGone, type ObjectKey, type StoreEvent } from "./store.ts";

/** One watch's live part: a bounded queue between the writer, which never waits, and a reader that may be slow. */
export class StoreReader {
  readonly #resource: string;
  readonly #namespace: string | undefined;
  readonly #limit: number;
  #queue: StoreEvent[] = [];
  #end: { reason: Error | undefined } | undefined;
  #wake: (() => void) | undefined;

  constructor(resource: string, namespace: string | undefined, limit: number) {
    this.#resource = resource;
    this.#namespace = namespace;
    this.#limit = limit;
  }

  /** Queues an event that this reader asked for; one too many ends it. */
  offer(key: ObjectKey, event: StoreEvent): void {
    if (key.resource !== this.#resource) return;
    if (this.#namespace !== undefined && key.namespace !== this.#namespace) return;
    if (this.#end !== undefined) return;
    if (this.#queue.length >= this.#limit) {
      this.#queue = [];
      this.end(new HistoryGone(`The reader fell ${this.#limit} changes behind`));
      return;
    }
    this.#queue.push(event);
    this.#wake?.();
  }

  /** Ends `events`, by throwing `reason` where there is one. */
  end(reason: Error | undefined): void {
    this.#end ??= { reason };
    this.#wake?.();
  }

  /** The queued events, then those that come. */
  async *events(): AsyncGenerator<StoreEvent> {
    for (;;) {
      if (this.#end !== undefined) {
        if (this.#end.reason === undefined) return;
        throw this.#end.reason;
      }
      const batch = this.#queue;
      this.#queue = [];
      for (const event of batch) yield event;
      if (this.#queue.length > 0 || this.#end !== undefined) continue;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
  }
}
