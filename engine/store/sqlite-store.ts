import type { DatabaseSync } from "node:sqlite";
import { type KubeObject, parseJson } from "@peapod/api";
import { startTimer, type Timer } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import type { GroupSync } from "./group-sync.ts";
import { History } from "./history.ts";
import { deepFreeze, ObjectCache } from "./object-cache.ts";
import type { Room } from "./room.ts";
import { prepareStatements, type Row, type Statements } from "./statements.ts";
import { isFull, notSynced, storeError, storeFull } from "./store-error.ts";
import {
  type ListOptions,
  type ObjectKey,
  type ObjectList,
  type Store,
  StoreConflict,
  type StoreEvent,
  type WatchOptions,
} from "./store.ts";
import { type ReaderLimits, StoreReader } from "./store-reader.ts";

export interface StoreLimits {
  /** Changes that the history keeps. */
  readonly historyChanges: number;
  /** Bytes of JSON that the history keeps, about. */
  readonly historyBytes: number;
  /** Changes that wait for one reader before it is ended with HistoryGone. */
  readonly readerChanges: number;
  /** Bytes of JSON of those. */
  readonly readerBytes: number;
}

/** Versions are reserved on disk, so many at once. */
const RESERVED_VERSIONS = 100_000;
/** What nobody waits for is on disk this much later. */
const UPKEEP_AFTER_MS = 1_000;
/** What an object may grow by when the disk is full: a mark that it is being deleted, a pod's last status. */
const SMALL_GROWTH = 4_096;
/** Free pages that a file keeps for what comes next; what is more is given back to the disk, so many at once. */
const FREE_PAGES = 1_024;
const VACUUM_PAGES = 512;
const VACUUM_EVERY_MS = 50;
/** The one kind that the store knows: what was deleted or replaced of it is nowhere on disk a moment later. */
const SECRETS = "secrets";

/** An opened database with what belongs to it. */
export interface StoreParts {
  readonly path: string;
  readonly database: DatabaseSync;
  readonly groupSync: GroupSync;
  readonly room: Room;
  readonly limits: StoreLimits;
}

/** Objects in SQLite. Reads and writes are synchronous; `sync` makes them durable. */
export class SqliteStore implements Store {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  readonly #groupSync: GroupSync;
  readonly #room: Room;
  readonly #readerLimits: ReaderLimits;
  readonly #history: History;
  readonly #cache = new ObjectCache();
  readonly #readers = new Set<StoreReader>();
  /** The newest resource version. */
  #newest: number;
  /** Versions up to this one may be given out: on disk it says that they were. */
  #reserved: number;
  /** Whether the log may hold something of a Secret that is no more. */
  #isToWipe = false;
  #upkeep: Timer | undefined;

  constructor({ path, database, groupSync, room, limits }: StoreParts) {
    this.#path = path;
    this.#database = database;
    this.#groupSync = groupSync;
    this.#room = room;
    this.#statements = prepareStatements(database);
    this.#readerLimits = { changes: limits.readerChanges, bytes: limits.readerBytes };
    this.#reserved = this.#statements.reserved();
    this.#newest = this.#reserved + 1; // no version is used twice, whatever was lost
    this.#history = new History(this.#newest, { changes: limits.historyChanges, bytes: limits.historyBytes });
    this.#reserve();
    if (!room.isShort()) this.#wipeLog();
  }

  get resourceVersion(): string {
    return String(this.#newest);
  }

  get trouble(): string | undefined {
    if (this.#groupSync.failure !== undefined) return notSynced(this.#path, this.#groupSync.failure).message;
    return this.#room.isShort() ? storeFull(this.#path).message : undefined;
  }

  get(key: ObjectKey): KubeObject | undefined {
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const row = this.#try(() => this.#statements.get(key));
    return row === undefined ? undefined : this.#parse(key.resource, row);
  }

  list(resource: string, options: ListOptions = {}): ObjectList {
    const { namespace, limit, after } = options;
    const from = after ?? { namespace: namespace ?? "", name: "" };
    return this.#try(() => {
      const rows = this.#statements.list(resource, namespace, from, limit);
      const items = rows.map((row) => this.#cache.get({ resource, ...row }) ?? this.#parse(resource, row));
      const last = rows.at(-1);
      const remaining =
        limit === undefined || rows.length < limit || last === undefined ? 0 : this.#statements.countAfter(resource, namespace, last);
      return { items, resourceVersion: this.resourceVersion, remaining };
    });
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

  async sync(): Promise<void> {
    try {
      await this.#groupSync.sync();
    } catch (cause) {
      throw notSynced(this.#path, cause);
    }
  }

  async settled(version: string): Promise<void> {
    await this.#groupSync.settled(Number(version));
  }

  watch(resource: string, options: WatchOptions, signal: AbortSignal): AsyncIterable<StoreEvent> {
    this.#history.checkReach(Number(options.since));
    return this.#read(resource, options, signal);
  }

  /** Ends the watches, brings everything to disk and closes the file. */
  async close(): Promise<void> {
    this.#upkeep?.[Symbol.dispose]();
    for (const reader of this.#readers) reader.end(undefined);
    this.#readers.clear();
    this.#database.close(); // brings the log into the file, and syncs both
    await this.#groupSync.close();
  }

  #expect(key: ObjectKey, expected: string | undefined): KubeObject {
    const stored = this.get(key);
    if (stored === undefined) throw new StoreConflict("missing", `${key.resource} "${key.name}" not found`);
    if (expected !== undefined && stored.metadata.resourceVersion !== expected)
      throw new StoreConflict("changed", `${key.resource} "${key.name}" is at version ${stored.metadata.resourceVersion}, not ${expected}`);
    return stored;
  }

  #write(type: StoreEvent["type"], key: ObjectKey, object: KubeObject, previous: KubeObject | undefined): KubeObject {
    if (this.#groupSync.failure !== undefined) throw notSynced(this.#path, this.#groupSync.failure);
    if (this.#newest === this.#reserved) this.#reserve();
    const version = this.#newest + 1;
    const json = JSON.stringify({ ...object, metadata: { ...object.metadata, resourceVersion: String(version) } });
    const previousJson = previous === undefined ? undefined : JSON.stringify(previous);
    const growth = type === "DELETED" ? 0 : json.length - (previousJson?.length ?? -SMALL_GROWTH);
    if (growth > SMALL_GROWTH && this.#room.isShort()) throw storeFull(this.#path);
    this.#commit(() => {
      if (type === "DELETED") this.#statements.remove(key);
      else this.#statements.put(key, version, json);
    });
    this.#newest = version;
    this.#groupSync.wrote(version);
    if (key.resource === SECRETS && type !== "ADDED") this.#isToWipe = true;
    this.#keepUp();
    const stored = deepFreeze(parseJson(json) as KubeObject); // what went in was a KubeObject
    if (type === "DELETED") this.#cache.delete(key);
    else this.#cache.set(key, stored);
    this.#history.add({ version, type, key, json, previousJson });
    const event: StoreEvent = { type, object: stored, previous, resourceVersion: String(version) };
    for (const reader of this.#readers) reader.offer(key, event, json.length);
    return stored;
  }

  /** Says on disk that the next versions were given out, before any of them is. */
  #reserve(): void {
    const reserved = this.#newest + RESERVED_VERSIONS;
    this.#commit(() => this.#statements.reserve(reserved));
    this.#groupSync.syncNow();
    this.#reserved = reserved;
  }

  /** Makes a change, whole or not at all; on a full disk once more, in the room that is kept for it. */
  #commit(change: () => void): void {
    this.#try(() => {
      try {
        this.#transact(change);
      } catch (cause) {
        if (!isFull(cause)) throw cause;
        this.#room.giveUp();
        this.#database.exec("PRAGMA wal_checkpoint(PASSIVE)"); // the log then begins anew, in the room that it has
        this.#transact(change);
      }
    });
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

  #keepUp(afterMs = UPKEEP_AFTER_MS): void {
    this.#upkeep ??= startTimer(() => {
      this.#upkeep = undefined;
      this.#upkeepNow();
    }, afterMs).unref();
  }

  /** What is done a moment after a write, for all that came meanwhile at once. */
  #upkeepNow(): void {
    this.sync().catch(() => {}); // kept: `trouble` tells it, and no write is taken any more
    try {
      if (this.#isToWipe && !this.#room.isShort()) this.#wipeLog();
      if (this.#statements.freePages() > FREE_PAGES) {
        this.#database.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES}); PRAGMA wal_checkpoint(PASSIVE)`);
        this.#keepUp(VACUUM_EVERY_MS);
      }
      this.#room.keep();
    } catch (cause) {
      if (!(storeError(cause, this.#path) instanceof EngineError)) throw cause; // the disk's doing: the next write meets it, too, and tells
    }
  }

  /** Brings the log into the file and empties it: nothing of what was deleted is left in it. */
  #wipeLog(): void {
    this.#try(() => this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
    this.#isToWipe = false;
    this.#room.lostLog();
    this.#room.keep();
  }

  #try<T>(act: () => T): T {
    try {
      return act();
    } catch (cause) {
      throw storeError(cause, this.#path);
    }
  }

  #parse(resource: string, row: Row): KubeObject {
    const object = deepFreeze(parseJson(row.object) as KubeObject); // only #write writes rows
    this.#cache.set({ resource, namespace: row.namespace, name: row.name }, object);
    return object;
  }

  async *#read(resource: string, options: WatchOptions, signal: AbortSignal): AsyncGenerator<StoreEvent> {
    signal.throwIfAborted();
    this.#history.checkReach(Number(options.since));
    const reader = new StoreReader(resource, options, this.#readerLimits);
    this.#readers.add(reader);
    const end = (): void =>
      reader.end(signal.reason instanceof Error ? signal.reason : new Error("The watch was ended", { cause: signal.reason }));
    signal.addEventListener("abort", end, { once: true });
    try {
      // What the reader is offered from here on comes after `#newest`, so nothing is lost or doubled between the two.
      yield* this.#history.between(resource, options.namespace, Number(options.since), this.#newest);
      yield* reader.events();
    } finally {
      signal.removeEventListener("abort", end);
      this.#readers.delete(reader);
    }
  }
}
