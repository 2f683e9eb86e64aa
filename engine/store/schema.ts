import type { DatabaseSync } from "node:sqlite";
import { EngineError } from "../errors.ts";

const VERSION = 2;

/**
 * Makes an opened database ready: its pragmas, and its tables where it is new or of an earlier version. A new store's versions begin at
 * `firstVersion`. Throws STORE_DAMAGED where the file is no database, STORE_TOO_NEW where a newer program wrote it.
 */
export function openSchema(database: DatabaseSync, path: string, firstVersion: number): void {
  database.exec(`
    PRAGMA locking_mode = EXCLUSIVE; -- one process has the state directory; and no index file that a full disk could refuse
    PRAGMA busy_timeout = 2000;
    PRAGMA temp_store = MEMORY; -- nothing of a Secret in a temporary file
  `);
  const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
  if (version > VERSION)
    throw new EngineError(
      "STORE_TOO_NEW",
      `Cannot open ${path}: it has store version ${version}, this program knows up to ${VERSION}; use the newer program, or another state directory`,
    );
  // The store syncs the write-ahead log itself, off the event loop, before a write is acknowledged; NORMAL keeps checkpoints in order.
  database.exec(`
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA journal_size_limit = 8388608;
  `);
  if (version === 0) create(database, firstVersion);
  if (version === 1) forgetHistory(database);
  if (Number(database.prepare("PRAGMA auto_vacuum").get()?.["auto_vacuum"]) === 0) rewrite(database);
  database.exec("PRAGMA secure_delete = ON"); // what is deleted or replaced is overwritten, in the file and not only in the index
}

function create(database: DatabaseSync, firstVersion: number): void {
  database.exec(`
    BEGIN IMMEDIATE;
    CREATE TABLE objects (
      resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
      version INTEGER NOT NULL, object TEXT NOT NULL,
      UNIQUE (resource, namespace, name)
    ) STRICT;
    -- One row. No version above reserved was ever given to anybody, none below began by this store; 0 where that is not known.
    CREATE TABLE versions (reserved INTEGER NOT NULL, began INTEGER NOT NULL) STRICT;
    INSERT INTO versions VALUES (${firstVersion}, ${firstVersion});
    PRAGMA user_version = ${VERSION};
    COMMIT;
  `);
}

/** Version 1 kept the history in the file, with the data of deleted Secrets. */
function forgetHistory(database: DatabaseSync): void {
  database.exec(`
    BEGIN IMMEDIATE;
    CREATE TABLE versions (reserved INTEGER NOT NULL, began INTEGER NOT NULL) STRICT;
    INSERT INTO versions SELECT max(ifnull((SELECT max(version) FROM history), 1), ifnull((SELECT max(version) FROM objects), 1)), 0;
    DROP TABLE history;
    PRAGMA user_version = ${VERSION};
    COMMIT;
  `);
}

/** Writes a file of version 1 anew, so that nothing of its history is left in free pages, and free pages can be given back from now on. */
function rewrite(database: DatabaseSync): void {
  try {
    database.exec("VACUUM");
  } catch {
    // Not enough room for it: the file is as good as before, and the next start tries again.
  }
}
