import { chmodSync, closeSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Scope } from "@peapod/kit";
import { GroupSync } from "./group-sync.ts";
import { Room } from "./room.ts";
import { openSchema } from "./schema.ts";
import { SqliteStore, type StoreLimits } from "./sqlite-store.ts";
import type { Store } from "./store.ts";
import { isFull, storeError } from "./store-error.ts";

const MIB = 1024 * 1024;
const defaultLimits: StoreLimits = { historyChanges: 10_000, historyBytes: 16 * MIB, readerChanges: 4_096, readerBytes: 8 * MIB };

/**
 * Opens the database file at `path`, made if absent with mode 0600, and closes it with the scope. Its versions go on above all that
 * were ever given out. Throws STORE_DAMAGED, STORE_TOO_NEW, STORE_FULL, STORE_READ_ONLY or STORE_FAILED.
 */
export function openStore(path: string, scope: Scope, limits: Partial<StoreLimits> = {}): Store {
  const store = open(path, { ...defaultLimits, ...limits });
  scope.defer(async () => store.close());
  return store;
}

function open(path: string, limits: StoreLimits): SqliteStore {
  const room = new Room(path);
  try {
    return tryOpen(path, room, limits);
  } catch (cause) {
    if (!isFull(cause)) throw storeError(cause, path);
  }
  room.giveUp(); // it is kept for this
  try {
    return tryOpen(path, room, limits);
  } catch (cause) {
    throw storeError(cause, path);
  }
}

function tryOpen(path: string, room: Room, limits: StoreLimits): SqliteStore {
  const database = new DatabaseSync(path);
  let log: number | undefined;
  try {
    chmodSync(path, 0o600);
    // A store that takes the place of a lost one does not use its versions again, either: no store gives out a million a second.
    openSchema(database, path, Date.now() * 1_000);
    log = openSync(`${path}-wal`, "r");
    syncFolder(dirname(path)); // the names of both files
    return new SqliteStore({ path, database, groupSync: new GroupSync(log), room, limits });
  } catch (cause) {
    if (log !== undefined) closeSync(log);
    database.close();
    throw cause;
  }
}

function syncFolder(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
