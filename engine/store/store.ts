import type { KubeObject } from "@peapod/api";

/**
 * Objects on disk, with versions and watches. It knows keys and JSON, no kinds.
 * One writer; every change gets the next resource version, monotonic over all objects, and is in the history that watches read.
 */
export interface Store {
  /** The newest resource version, as a decimal string. */
  readonly resourceVersion: string;
  get(key: ObjectKey): KubeObject | undefined;
  /** All objects of a resource, or of it in one namespace, by namespace and name, from one moment. */
  list(resource: string, options?: ListOptions): ObjectList;
  /** Stores a new object and gives it with its resource version. Throws StoreConflict "exists". */
  create(key: ObjectKey, object: KubeObject): KubeObject;
  /** Replaces an object whose resource version is still `expected`. Throws StoreConflict "missing" or "changed". */
  update(key: ObjectKey, object: KubeObject, expected: string): KubeObject;
  /** Removes an object; gives what it was, with the resource version of its removal. Throws StoreConflict like `update`. */
  delete(key: ObjectKey, expected?: string): KubeObject;
  /**
   * What happened to a resource after `since`, in order, then as it happens. Throws HistoryGone at once where the history no longer
   * reaches back that far. A reader that falls too far behind is ended with HistoryGone.
   */
  watch(resource: string, options: WatchOptions, signal: AbortSignal): AsyncIterable<StoreEvent>;
}

export interface ObjectKey {
  /** `pods`, `leases.coordination.k8s.io`: plural and group. */
  readonly resource: string;
  /** "" for what has no namespace. */
  readonly namespace: string;
  readonly name: string;
}

export interface ListOptions {
  readonly namespace?: string;
  /** Together with `after`: a page. */
  readonly limit?: number;
  /** The key of the last object of the page before. */
  readonly after?: { namespace: string; name: string };
}

export interface ObjectList {
  readonly items: KubeObject[];
  readonly resourceVersion: string;
  /** How many more there are behind the page. */
  readonly remaining: number;
}

export interface WatchOptions {
  readonly namespace?: string;
  readonly since: string;
}

/** `previous` is what the object was before: filtered watches need it to tell leaving from changing. */
export interface StoreEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubeObject;
  readonly previous: KubeObject | undefined;
  readonly resourceVersion: string;
}

/** Somebody else was first. */
export class StoreConflict extends Error {
  override readonly name = "StoreConflict";
  readonly reason: "exists" | "missing" | "changed";
  constructor(reason: "exists" | "missing" | "changed", message: string) {
    super(message);
    this.reason = reason;
  }
}

/** The history does not reach back to the asked-for version: list again. */
export class HistoryGone extends Error {
  override readonly name = "HistoryGone";
}
