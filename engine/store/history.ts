import { type KubeObject, parseJson } from "@peapod/api";
import { deepFreeze } from "./object-cache.ts";
import { HistoryGone, type ObjectKey, type StoreEvent } from "./store.ts";

/** One change, as JSON: parsed objects would take several times the memory. */
interface Change {
  readonly version: number;
  readonly type: StoreEvent["type"];
  readonly key: ObjectKey;
  readonly json: string;
  readonly previousJson: string | undefined;
  readonly bytes: number;
}

export interface HistoryLimits {
  readonly changes: number;
  /** Of JSON, about. The newest change is kept however large. */
  readonly bytes: number;
}

/**
 * The newest changes, for watches that begin a little in the past. In memory only: whoever watched an earlier engine lists anew, since
 * versions jump when a store is opened; and what was deleted is nowhere on disk.
 */
export class History {
  readonly #limits: HistoryLimits;
  #changes: Change[] = [];
  /** Where the kept ones begin: forgotten ones are taken off the front many at once. */
  #start = 0;
  #bytes = 0;
  #floor: number;
  #newest: number;

  /** Begins after `version`. */
  constructor(version: number, limits: HistoryLimits) {
    this.#limits = limits;
    this.#floor = version;
    this.#newest = version;
  }

  add(change: Omit<Change, "bytes">): void {
    const bytes = change.json.length + (change.previousJson?.length ?? 0);
    this.#changes.push({ ...change, bytes });
    this.#newest = change.version;
    this.#bytes += bytes;
    while (this.#changes.length - this.#start > this.#limits.changes || this.#bytes > this.#limits.bytes) {
      const oldest = this.#changes[this.#start];
      if (oldest === undefined || oldest.version === change.version) break;
      this.#bytes -= oldest.bytes;
      this.#floor = oldest.version;
      this.#start += 1;
    }
    if (this.#start < this.#changes.length / 2) return;
    this.#changes = this.#changes.slice(this.#start);
    this.#start = 0;
  }

  /** Throws HistoryGone where `since` is before what is kept, or a version that was never given. */
  checkReach(since: number): void {
    if (Number.isSafeInteger(since) && since >= this.#floor && since <= this.#newest) return;
    throw new HistoryGone(`The history reaches from version ${this.#floor} to ${this.#newest}, not to ${since}`);
  }

  /** What happened to a resource after `since` and up to `until`. Throws HistoryGone where it is forgotten while it is read. */
  *between(resource: string, namespace: string | undefined, since: number, until: number): Generator<StoreEvent> {
    let reached = since;
    while (reached < until) {
      this.checkReach(reached);
      const change = this.#next(resource, namespace, reached, until);
      if (change === undefined) return;
      yield toEvent(change);
      reached = change.version;
    }
  }

  #next(resource: string, namespace: string | undefined, since: number, until: number): Change | undefined {
    for (let index = this.#indexAfter(since); ; index += 1) {
      const change = this.#changes[index];
      if (change === undefined || change.version > until) return undefined;
      if (change.key.resource === resource && (namespace === undefined || change.key.namespace === namespace)) return change;
    }
  }

  /** Versions follow each other without gaps, but for those of the floor. */
  #indexAfter(version: number): number {
    const oldest = this.#changes[this.#start];
    return oldest === undefined ? this.#start : this.#start + Math.max(0, version + 1 - oldest.version);
  }
}

function toEvent({ version, type, json, previousJson }: Change): StoreEvent {
  const parse = (text: string): KubeObject => deepFreeze(parseJson(text) as KubeObject); // what the store wrote
  const previous = previousJson === undefined ? undefined : parse(previousJson);
  return { type, object: parse(json), previous, resourceVersion: String(version) };
}
