import { HistoryGone, type ObjectKey, type StoreEvent, type WatchOptions } from "./store.ts";

export interface ReaderLimits {
  readonly changes: number;
  /** Of JSON. Readers share the objects, so that all together hold about as much as the one furthest behind. */
  readonly bytes: number;
}

interface Queued {
  readonly event: StoreEvent;
  readonly bytes: number;
}

/** One watch's live part: a bounded queue between the writer, which never waits, and a reader that may be slow. */
export class StoreReader {
  readonly #resource: string;
  readonly #options: Omit<WatchOptions, "since">;
  readonly #limits: ReaderLimits;
  readonly #queue: Queued[] = [];
  #bytes = 0;
  #end: { reason: Error | undefined } | undefined;
  #wake: (() => void) | undefined;

  constructor(resource: string, options: Omit<WatchOptions, "since">, limits: ReaderLimits) {
    this.#resource = resource;
    this.#options = options;
    this.#limits = limits;
  }

  /** Queues an event that this reader asked for; one too many ends it. One alone is taken however large. */
  offer(key: ObjectKey, event: StoreEvent, bytes: number): void {
    const { namespace, onBehind } = this.#options;
    if (key.resource !== this.#resource) return;
    if (namespace !== undefined && key.namespace !== namespace) return;
    if (this.#end !== undefined) return;
    if (this.#queue.length >= this.#limits.changes || (this.#queue.length > 0 && this.#bytes + bytes > this.#limits.bytes)) {
      this.end(new HistoryGone(`The reader fell ${this.#queue.length} changes behind`));
      onBehind?.();
      return;
    }
    this.#queue.push({ event, bytes });
    this.#bytes += bytes;
    this.#wake?.();
  }

  /** Ends `events`, by throwing `reason` where there is one. */
  end(reason: Error | undefined): void {
    this.#end ??= { reason };
    this.#queue.length = 0;
    this.#bytes = 0;
    this.#wake?.();
  }

  /** The queued events, then those that come. */
  async *events(): AsyncGenerator<StoreEvent> {
    for (;;) {
      if (this.#end?.reason !== undefined) throw this.#end.reason;
      if (this.#end !== undefined) return;
      const next = this.#queue.shift();
      if (next !== undefined) {
        this.#bytes -= next.bytes;
        yield next.event;
        continue;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
  }
}
