import type { DatabaseSync } from "node:sqlite";
import { type KubeObject, parseJson } from "@peapod/api";
import { startTimer, type Timer } from "@peapod/kit";
import { EngineError, hasCode } from "../errors.ts";
import type { GroupSync } from "./group-sync.ts";
import { History } from "./history.ts";
import { deepFreeze, ObjectCache } from "./object-cache.ts";
import type { Room } from "./room.ts";
import type { Row, Statements } from "./statements.ts";
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

/** Where the objects are. */
export interface OpenDisk {
  readonly path: string;
  readonly database: DatabaseSync;
  readonly statements: Statements;
  readonly groupSync: GroupSync;
  readonly room: Room;
  /** Why this is a copy in memory: nothing of what is written comes to disk. */
  readonly fault?: EngineError;
  /** Closes the files. */
  close(): Promise<void>;
}

export interface SqliteStoreOptions {
  readonly disk: OpenDisk;
  readonly limits: StoreLimits;
  /** Opens the copy to go on with when the disk takes nothing more; throws where there is to be none. */
  readonly fallBack: (fault: EngineError) => OpenDisk;
}

/** Objects in SQLite. Reads and writes are synchronous; `sync` makes them durable. */
export class SqliteStore implements Store {
  readonly began: number;
  readonly #fallBack: (fault: EngineError) => OpenDisk;
  #disk: OpenDisk;
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

  constructor({ disk, limits, fallBack }: SqliteStoreOptions) {
    this.#disk = disk;
    this.#fallBack = fallBack;
    this.#readerLimits = { changes: limits.readerChanges, bytes: limits.readerBytes };
    this.began = disk.statements.began();
    this.#reserved = disk.statements.reserved();
    this.#newest = this.#reserved + 1; // no version is used twice, whatever was lost
    this.#history = new History(this.#newest, { changes: limits.historyChanges, bytes: limits.historyBytes });
    this.#reserve();
    if (!disk.room.isShort()) this.#wipeLog();
  }

  get resourceVersion(): string {
    return String(this.#newest);
  }

  get trouble(): string | undefined {
    return this.#shortage?.message;
  }

  get fault(): EngineError | undefined {
    return this.#disk.fault;
  }

  /** Why nothing is taken that makes the store larger. */
  get #shortage(): EngineError | undefined {
    const { fault, room, path } = this.#disk;
    return fault ?? (room.isShort() ? storeFull(path) : undefined);
  }

  get(key: ObjectKey): KubeObject | undefined {
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const row = this.#try(() => this.#disk.statements.get(key));
    return row === undefined ? undefined : this.#parse(key.resource, row);
  }

  list(resource: string, options: ListOptions = {}): ObjectList {
    const { namespace, limit, after } = options;
    const from = after ?? { namespace: namespace ?? "", name: "" };
    return this.#try(() => {
      const rows = this.#disk.statements.list(resource, namespace, from, limit);
      const items = rows.map((row) => this.#cache.get({ resource, ...row }) ?? this.#parse(resource, row));
      const last = rows.at(-1);
      const remaining =
        limit === undefined || rows.length < limit || last === undefined ? 0 : this.#disk.statements.countAfter(resource, namespace, last);
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
    const disk = this.#disk;
    try {
      await disk.groupSync.sync();
    } catch (cause) {
      const fault = notSynced(disk.path, cause);
      this.#giveUp(disk, fault);
      throw fault;
    }
  }

  async settled(version: string): Promise<void> {
    await this.#disk.groupSync.settled(Number(version));
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
    await this.#disk.close();
  }

  #expect(key: ObjectKey, expected: string | undefined): KubeObject {
    const stored = this.get(key);
    if (stored === undefined) throw new StoreConflict("missing", `${key.resource} "${key.name}" not found`);
    if (expected !== undefined && stored.metadata.resourceVersion !== expected)
      throw new StoreConflict("changed", `${key.resource} "${key.name}" is at version ${stored.metadata.resourceVersion}, not ${expected}`);
    return stored;
  }

  #write(type: StoreEvent["type"], key: ObjectKey, object: KubeObject, previous: KubeObject | undefined): KubeObject {
    if (this.#newest === this.#reserved) this.#reserve();
    const version = this.#newest + 1;
    const json = JSON.stringify({ ...object, metadata: { ...object.metadata, resourceVersion: String(version) } });
    const previousJson = previous === undefined ? undefined : JSON.stringify(previous);
    const isSmall = type === "DELETED" || (previousJson !== undefined && json.length - previousJson.length <= SMALL_GROWTH);
    this.#commit(isSmall, ({ statements }) => {
      if (type === "DELETED") statements.remove(key);
      else statements.put(key, version, json);
    });
    this.#newest = version;
    this.#disk.groupSync.wrote(version);
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
    this.#commit(true, ({ statements, groupSync }) => {
      statements.reserve(reserved);
      groupSync.wrote(this.#newest);
    });
    this.#disk.groupSync.syncNow();
    this.#reserved = reserved;
  }

  /**
   * Makes a change, whole or not at all. One that makes the store no larger is made on a full disk too, in the room that is kept for it,
   * and on one that takes nothing more, in memory.
   */
  #commit(isSmall: boolean, change: (disk: OpenDisk) => void): void {
    const refusal = isSmall ? undefined : this.#shortage;
    if (refusal !== undefined) throw refusal;
    const disk = this.#disk;
    try {
      this.#commitTo(disk, change);
    } catch (cause) {
      const fault = storeError(cause, disk.path);
      if (!hasCode(fault, "STORE_READ_ONLY", "STORE_FAILED") || disk.fault !== undefined) throw fault;
      this.#giveUp(disk, fault);
      if (!isSmall) throw fault;
      this.#commitTo(this.#disk, change);
    }
  }

  #commitTo(disk: OpenDisk, change: (disk: OpenDisk) => void): void {
    try {
      transact(disk, change);
    } catch (cause) {
      if (!isFull(cause)) throw cause;
      disk.room.giveUp();
      disk.database.exec("PRAGMA wal_checkpoint(PASSIVE)"); // the log then begins anew, in the room that it has
      transact(disk, change);
    }
  }

  /** Goes on with a copy in memory where the disk takes nothing more. */
  #giveUp(disk: OpenDisk, fault: EngineError): void {
    if (this.#disk !== disk || disk.fault !== undefined) return; // done already
    this.#disk = this.#fallBack(fault);
    void disk.close().catch(() => {}); // its last words come to no disk
  }

  #keepUp(afterMs = UPKEEP_AFTER_MS): void {
    this.#upkeep ??= startTimer(() => {
      this.#upkeep = undefined;
      this.#upkeepNow();
    }, afterMs).unref();
  }

  /** What is done a moment after a write, for all that came meanwhile at once. */
  #upkeepNow(): void {
    this.sync().catch(() => {}); // `trouble` tells it
    const { database, statements, room, path } = this.#disk;
    try {
      if (this.#isToWipe && !room.isShort()) this.#wipeLog();
      if (statements.freePages() > FREE_PAGES) {
        database.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES}); PRAGMA wal_checkpoint(PASSIVE)`);
        this.#keepUp(VACUUM_EVERY_MS);
      }
      room.keep();
    } catch (cause) {
      if (!(storeError(cause, path) instanceof EngineError)) throw cause; // the disk's doing: the next write meets it, too, and tells
    }
  }

  /** Brings the log into the file and empties it: nothing of what was deleted is left in it. */
  #wipeLog(): void {
    const { database, room } = this.#disk;
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#isToWipe = false;
    room.lostLog();
    room.keep();
  }

  #try<T>(act: () => T): T {
    try {
      return act();
    } catch (cause) {
      throw storeError(cause, this.#disk.path);
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

function transact(disk: OpenDisk, change: (disk: OpenDisk) => void): void {
  const { database } = disk;
  database.exec("BEGIN IMMEDIATE");
  try {
    change(disk);
    database.exec("COMMIT");
  } catch (cause) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw cause;
  }
}
