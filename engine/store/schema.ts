import type { DatabaseSync } from "node:sqlite";

const VERSION = 1;

/**
 * Makes an opened database ready: its pragmas, and its tables where it is new.
 * Throws an Error that names the file and both versions where a newer version wrote it.
 */
export function openSchema(database: DatabaseSync, path: string): void {
  const version = versionOf(database, path);
  if (version > VERSION)
    throw new Error(
      `Cannot open ${path}: it has store version ${version}, this program knows up to ${VERSION}; use the newer program, or another state directory`,
    );
  // NORMAL with a WAL: a killed process loses nothing, a power cut at most the newest transactions, never consistency.
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000; PRAGMA journal_size_limit = 8388608");
  if (version === VERSION) return;
  database.exec(`
    BEGIN IMMEDIATE;
    CREATE TABLE objects (
      resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
      version INTEGER NOT NULL, object TEXT NOT NULL,
      UNIQUE (resource, namespace, name)
    ) STRICT;
    -- written: bytes of JSON written to the history ever, up to and with this row; it grows with version.
    CREATE TABLE history (
      version INTEGER PRIMARY KEY, written INTEGER NOT NULL, type TEXT NOT NULL,
      resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
      object TEXT NOT NULL, previous TEXT
    ) STRICT;
    CREATE INDEX history_by_resource ON history (resource, version);
    CREATE INDEX history_by_written ON history (written);
    PRAGMA user_version = ${VERSION};
    COMMIT;
  `);
}

function versionOf(database: DatabaseSync, path: string): number {
  try {
    const row = database.prepare("PRAGMA user_version").get();
    return Number(row?.["user_version"]);
  } catch (cause) {
    throw new Error(`Cannot open ${path}: it is not a database, or a damaged one; move it away to start with an empty store`, { cause });
  }
}
