import { chmodSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { KubeObject } from "@peapod/api";
import type { Scope } from "@peapod/kit";
import { openSchema } from "./schema.ts";
import { prepareStatements, type Row, type Statements } from "./statements.ts";
import {
  HistoryGone,
  type ListOptions,
  type ObjectKey,
  type ObjectList,
  type Store,
  StoreConflict,
  type StoreEvent,
  type WatchOptions,
} from "./store.ts";
import { ObjectCache, deepFreeze } from "./object-cache.ts";
import { StoreReader } from "./store-reader.ts";

export interface StoreLimits {
  /** Changes that the history keeps. */
  readonly historyChanges: number;
  /** Bytes of JSON that the history keeps, about. */
  readonly historyBytes: number;
  /** Changes that wait for one reader before it is ended with HistoryGone. */
  readonly readerChanges: number;
}

const defaultLimits: StoreLimits = { historyChanges: 10_000, historyBytes: 64 * 1024 * 1024, readerChanges: 4_096 };

/** The history is cut once in so many changes: cutting costs more than writing one. */
const CUT_EVERY = 256;

/**
 * Opens the database file at `path`, made if absent with mode 0600, and closes it with the scope.
 * An acknowledged write survives the end of the process at any moment; a power cut may undo the newest ones, never half of one.
 * Throws an Error that says so where the file was written by a newer version or is no database.
 */
export function openStore(path: string, scope: Scope, limits: Partial<StoreLimits> = {}): Store {
  const database = new DatabaseSync(path);
  try {
    chmodSync(path, 0o600);
    openSchema(database, path);
  } catch (cause) {
    database.close();
    throw cause;
  }
  const store = new SqliteStore(database, { ...defaultLimits, ...limits });
  scope.defer(() => store.close());
  return store;
}

class SqliteStore implements Store {
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  readonly #limits: StoreLimits;
  readonly #cache = new ObjectCache();
  readonly #readers = new Set<StoreReader>();
  /** The newest resource version. */
  #newest: number;
  /** The newest version that the history no longer tells of. */
  #floor: number;
  /** Bytes ever written to the history. */
  #written: number;

  constructor(database: DatabaseSync, limits: StoreLimits) {
    this.#database = database;
    this.#limits = limits;
    this.#statements = prepareStatements(database);
    const span = this.#statements.span();
    this.#newest = span.newest ?? 1; // never 0: that is "any version" to the API's clients
    this.#floor = (span.oldest ?? 2) - 1;
    this.#written = span.written ?? 0;
  }

  get resourceVersion(): string {
    return String(this.#newest);
  }

  get(key: ObjectKey): KubeObject | undefined {
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const row = this.#statements.get(key);
    return row === undefined ? undefined : this.#parse(key.resource, row);
  }

  list(resource: string, options: ListOptions = {}): ObjectList {
    const { namespace, limit, after } = options;
    const from = after ?? { namespace: namespace ?? "", name: "" };
    const rows = this.#statements.list(resource, namespace, from, limit);
    const items = rows.map((row) => this.#cache.get({ resource, ...row }) ?? this.#parse(resource, row));
    const last = rows.at(-1);
    const remaining =
      limit === undefined || rows.length < limit || last === undefined ? 0 : this.#statements.countAfter(resource, namespace, last);
    return { items, resourceVersion: this.resourceVersion, remaining };
  }

  create(key: ObjectKey, object: KubeObject): KubeObject {
    if (this.get(key) !== undefined) throw new StoreConflict("exists", `${key.resource} "${key.name}" already exists`);
    return this.#write("ADDED", key, object, undefined);
  }

  update(key: ObjectKey, object: KubeObject, expected: string): KubeObject {
    return this.#write("MODIFIED", key, object, this.#expect(key, expected));
  }

  delete(key: ObjectKey, expected?: string): KubeObject {
    const previous = this.#expect(key, expected);
    return this.#write("DELETED", key, previous, previous);
  }

  watch(resource: string, options: WatchOptions, signal: AbortSignal): AsyncIterable<StoreEvent> {
    this.#checkReach(Number(options.since));
    return this.#read(resource, options, signal);
  }

  close(): void {
    for (const reader of this.#readers) reader.end(undefined);
    this.#readers.clear();
    this.#database.close();
  }

  #expect(key: ObjectKey, expected: string | undefined): KubeObject {
    const stored = this.get(key);
    if (stored === undefined) throw new StoreConflict("missing", `${key.resource} "${key.name}" not found`);
    if (expected !== undefined && stored.metadata.resourceVersion !== expected)
      throw new StoreConflict("changed", `${key.resource} "${key.name}" is at version ${stored.metadata.resourceVersion}, not ${expected}`);
    return stored;
  }

  #write(type: StoreEvent["type"], key: ObjectKey, object: KubeObject, previous: KubeObject | undefined): KubeObject {
    const version = this.#newest + 1;
    const json = JSON.stringify({ ...object, metadata: { ...object.metadata, resourceVersion: String(version) } });
    const previousJson = previous === undefined ? null : JSON.stringify(previous);
    const written = this.#written + json.length + (previousJson?.length ?? 0);
    this.#transact(() => {
      this.#statements.addHistory({ version, written, type, key, json, previousJson });
      if (type === "DELETED") this.#statements.remove(key);
      else this.#statements.put(key, version, json);
      if (version % CUT_EVERY === 0)
        this.#floor =
          this.#statements.cutHistory(version - this.#limits.historyChanges, written - this.#limits.historyBytes) ?? this.#floor;
    });
    this.#newest = version;
    this.#written = written;
    const stored = deepFreeze(JSON.parse(json) as KubeObject); // what went in was a KubeObject
    if (type === "DELETED") this.#cache.delete(key);
    else this.#cache.set(key, stored);
    const event: StoreEvent = { type, object: stored, previous, resourceVersion: String(version) };
    for (const reader of this.#readers) reader.offer(key, event);
    return stored;
  }

  #transact(change: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      change();
      this.#database.exec("COMMIT");
    } catch (cause) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw cause;
    }
  }

  #parse(resource: string, row: Row): KubeObject {
    const object = deepFreeze(JSON.parse(row.object) as KubeObject); // only #write writes rows
    this.#cache.set({ resource, namespace: row.namespace, name: row.name }, object);
    return object;
  }

  #checkReach(since: number): void {
    if (Number.isSafeInteger(since) && since >= this.#floor && since <= this.#newest) return;
    throw new HistoryGone(`The history reaches from version ${this.#floor} to ${this.#newest}, not to ${since}`);
  }

  async *#read(resource: string, options: WatchOptions, signal: AbortSignal): AsyncGenerator<StoreEvent> {
    signal.throwIfAborted();
    this.#checkReach(Number(options.since));
    const reader = new StoreReader(resource, options.namespace, this.#limits.readerChanges);
    this.#readers.add(reader);
    const end = (): void =>
      reader.end(signal.reason instanceof Error ? signal.reason : new Error("The watch was ended", { cause: signal.reason }));
    signal.addEventListener("abort", end, { once: true });
    try {
      // What the reader is offered from here on comes after `until`, so nothing is lost or doubled between the two.
      const until = this.#newest;
      yield* this.#replay(resource, options, until);
      yield* reader.events();
    } finally {
      signal.removeEventListener("abort", end);
      this.#readers.delete(reader);
    }
  }

  *#replay(resource: string, options: WatchOptions, until: number): Generator<StoreEvent> {
    let since = Number(options.since);
    while (since < until) {
      this.#checkReach(since);
      const rows = this.#statements.history(resource, options.namespace, since, until);
      for (const row of rows) {
        const previous = row.previous === null ? undefined : deepFreeze(JSON.parse(row.previous) as KubeObject); // only #write writes rows
        yield { type: row.type, object: deepFreeze(JSON.parse(row.object) as KubeObject), previous, resourceVersion: String(row.version) };
      }
      const last = rows.at(-1);
      if (last === undefined) return;
      since = last.version;
    }
  }
}
