import { existsSync } from "node:fs";
import { type Logger, type Scope, silentLogger } from "@peapod/kit";
import { type EngineError, hasCode } from "../errors.ts";
import { openCopy, openDisk } from "./open-disk.ts";
import { Room } from "./room.ts";
import { type OpenDisk, SqliteStore, type StoreLimits } from "./sqlite-store.ts";
import type { Store } from "./store.ts";
import { isFull, storeError } from "./store-error.ts";

const MIB = 1024 * 1024;
const defaultLimits: StoreLimits = { historyChanges: 10_000, historyBytes: 16 * MIB, readerChanges: 4_096, readerBytes: 8 * MIB };

export interface OpenStoreOptions extends Partial<StoreLimits> {
  /** A folder in memory: where the disk takes nothing, the engine goes on with a copy in there, so that pods can still be seen and deleted. */
  readonly memoryDir?: string;
  readonly log?: Logger;
}

/**
 * Opens the database file at `path`, made if absent with mode 0600, and closes it with the scope. Its versions go on above all that
 * were ever given out. Throws STORE_DAMAGED or STORE_TOO_NEW, and without `memoryDir` STORE_FULL, STORE_READ_ONLY or STORE_FAILED.
 */
export function openStore(path: string, scope: Scope, { memoryDir, log = silentLogger, ...limits }: OpenStoreOptions = {}): Store {
  const fallBack = (fault: EngineError): OpenDisk => {
    if (memoryDir === undefined || !existsSync(path)) throw fault;
    log.error("the disk takes nothing more of the store: what changes from now on is kept in memory only", { path, error: fault });
    return openCopy(path, memoryDir, fault);
  };
  const make = (disk: OpenDisk): SqliteStore => new SqliteStore({ disk, limits: { ...defaultLimits, ...limits }, fallBack });
  const store = open(path, make, fallBack);
  scope.defer(async () => store.close());
  return store;
}

function open(path: string, make: (disk: OpenDisk) => SqliteStore, fallBack: (fault: EngineError) => OpenDisk): SqliteStore {
  try {
    return tryOpen(path, make);
  } catch (cause) {
    const fault = storeError(cause, path);
    if (hasCode(fault, "STORE_FULL", "STORE_READ_ONLY", "STORE_FAILED")) return make(fallBack(fault));
    throw fault;
  }
}

function tryOpen(path: string, make: (disk: OpenDisk) => SqliteStore): SqliteStore {
  const room = new Room(path);
  let disk: OpenDisk | undefined;
  try {
    disk = openDisk(path, room);
    return make(disk);
  } catch (cause) {
    void disk?.close().catch(() => {}); // what went wrong is told
    if (!isFull(cause) || !room.giveUp()) throw cause;
    return tryOpen(path, make); // in the room that was kept for it
  }
}
