import type { KubeObject, Resource } from "@peapod/api";
import { backoffMs, type BackoffCurve, type Clock, isAbort, type Logger } from "@peapod/kit";
import { ApiError, type Client, type Selection } from "./client.ts";

const CURVE: BackoffCurve = { initialMs: 200, maximumMs: 30_000 };

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: Client;
  readonly resource: Resource<T>;
  readonly selection?: Selection;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called after the cache changed, with what changed: "look at this object again". Must not throw. */
  readonly onChange: (key: string, object: T) => void;
  /** Called once the first list is in the cache. */
  readonly onSynced?: () => void;
}

/**
 * Keeps a copy of a resource's objects, by list and watch, and says which changed. A watch that ends is begun anew by a list,
 * with back-off after failures; objects that went away meanwhile are reported too. It holds as many objects as the API does.
 */
export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #objects = new Map<string, T>();
  #synced = false;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
  }

  /** Whether the cache has been filled at least once. */
  get isSynced(): boolean {
    return this.#synced;
  }

  /** The object of a key as given by `objectKey`. */
  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  /** Lists and watches until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { client, resource, selection = {}, clock, log } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const startMs = clock.monotonicMs();
      try {
        const { items, resourceVersion } = await client.list(resource, selection, signal);
        this.#replace(items);
        for await (const { type, object } of client.watch(resource, { ...selection, resourceVersion }, signal)) {
          failures = 0; // not before: a watch that fails each time would have everything listed five times a second
          this.#apply(type === "DELETED" ? "removed" : "present", object);
        }
      } catch (cause) {
        if (isAbort(cause, signal)) return;
        if (!(cause instanceof ApiError && cause.code === 410)) log.warn("watch failed", { resource: resource.plural, error: cause });
      }
      if (signal.aborted) return;
      if (clock.monotonicMs() - startMs > CURVE.maximumMs) failures = 0; // a quiet one that worked
      try {
        await clock.sleep(backoffMs(CURVE, failures++), signal);
      } catch (cause) {
        if (isAbort(cause, signal)) return;
        throw cause;
      }
    }
  }

  #replace(items: readonly T[]): void {
    const gone = new Map(this.#objects);
    for (const object of items) {
      const known = gone.get(objectKey(object));
      gone.delete(objectKey(object));
      if (known?.metadata.resourceVersion === object.metadata.resourceVersion && known !== undefined) continue;
      this.#apply("present", object);
    }
    for (const object of gone.values()) this.#apply("removed", object);
    if (this.#synced) return;
    this.#synced = true;
    this.#options.onSynced?.();
  }

  #apply(how: "present" | "removed", object: T): void {
    const key = objectKey(object);
    const known = this.#objects.get(key);
    if (how === "present") this.#objects.set(key, object);
    else this.#objects.delete(key);
    // A new object under an old name: whoever keeps things by uid must hear of the old one's end too.
    if (how === "present" && known !== undefined && known.metadata.uid !== object.metadata.uid) this.#options.onChange(key, known);
    this.#options.onChange(key, object);
  }
}

/** `namespace/name`, or the name alone for what has no namespace. */
export function objectKey(object: KubeObject): string {
  const { namespace, name = "" } = object.metadata;
  return namespace === undefined || namespace === "" ? name : `${namespace}/${name}`;
}
