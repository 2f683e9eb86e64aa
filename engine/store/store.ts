import type { KubeObject } from "@peapod/api";

/**
 * Objects on disk, with versions and watches. It knows keys and JSON, no kinds.
 * One writer; every change gets the next resource version, monotonic over all objects, and is in the history that watches read. No version
 * is ever used twice, whatever a power cut takes. A write that the disk has no room for throws STORE_FULL, STORE_READ_ONLY, STORE_DAMAGED
 * or STORE_FAILED; on a full disk, what makes the store no larger is taken still.
 */
export interface Store {
  /** The newest resource version, as a decimal string. */
  readonly resourceVersion: string;
  /** What has a lower version is of another store, whose place this one took. Also the time of its making, in microseconds; 0: not known. */
  readonly began: number;
  /** What is wrong with the disk, for a person; undefined while all is well. */
  readonly trouble: string | undefined;
  /** Why nothing of what is written comes to disk, as the error that refuses it; undefined while it does. */
  readonly fault: Error | undefined;
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
   * Resolves when everything written until now is on disk; rejects with STORE_FAILED where it cannot come there. Writes that nobody waits
   * for are on disk a second later.
   */
  sync(): Promise<void>;
  /** What to wait for before somebody outside is shown something of this version: no write that is waited for is lost once it was seen. */
  settled(version: string): Promise<void>;
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
  /** Called when the reader is ended because it is too far behind: it may be waiting for somebody who never reads. */
  readonly onBehind?: () => void;
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
