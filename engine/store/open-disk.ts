import { chmodSync, closeSync, copyFileSync, existsSync, fsyncSync, mkdirSync, openSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { EngineError } from "../errors.ts";
import { GroupSync } from "./group-sync.ts";
import { Room } from "./room.ts";
import { openSchema } from "./schema.ts";
import type { OpenDisk } from "./sqlite-store.ts";
import { prepareStatements } from "./statements.ts";

/** Opens a database file with what belongs to it, made if absent with mode 0600. Throws what SQLite and the file system throw. */
export function openDisk(path: string, room: Room): OpenDisk {
  const database = new DatabaseSync(path);
  let log: number | undefined;
  try {
    if ((statSync(path).mode & 0o777) !== 0o600) chmodSync(path, 0o600);
    // A store that takes the place of a lost one does not use its versions again, either: no store gives out a million a second.
    openSchema(database, path, Date.now() * 1_000);
    log = openSync(`${path}-wal`, "r");
    syncFolder(dirname(path)); // the names of both files
    const groupSync = new GroupSync(log);
    return {
      path,
      database,
      statements: prepareStatements(database),
      groupSync,
      room,
      close: async () => {
        try {
          database.close(); // brings the log into the file, and syncs both
        } finally {
          await groupSync.close();
        }
      },
    };
  } catch (cause) {
    if (log !== undefined) closeSync(log);
    database.close();
    throw cause;
  }
}

/** Opens a copy, in a folder in memory, of files that can be read, if not written. Closing it removes it. */
export function openCopy(path: string, memoryDir: string, fault: EngineError): OpenDisk {
  const folder = join(memoryDir, "store-copy");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const copy = join(folder, "store.db");
  for (const ending of ["", "-wal"]) if (existsSync(path + ending)) copyFileSync(path + ending, copy + ending);
  const disk = openDisk(copy, new Room(copy));
  const close = async (): Promise<void> => {
    await disk.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { ...disk, fault, close };
}

function syncFolder(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
