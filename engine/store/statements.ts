import type { DatabaseSync } from "node:sqlite";
import type { ObjectKey } from "./store.ts";

export interface Row {
  readonly namespace: string;
  readonly name: string;
  readonly object: string;
}

interface Place {
  readonly namespace: string;
  readonly name: string;
}

export interface Statements {
  get(key: ObjectKey): Row | undefined;
  list(resource: string, namespace: string | undefined, after: Place, limit: number | undefined): Row[];
  countAfter(resource: string, namespace: string | undefined, after: Place): number;
  put(key: ObjectKey, version: number, json: string): void;
  remove(key: ObjectKey): void;
  /** The highest version that may have been given to anybody. */
  reserved(): number;
  reserve(version: number): void;
  /** The version that the store began with. */
  began(): number;
  /** Pages of the file that hold nothing. */
  freePages(): number;
}

/** The SQL of the store, prepared once. Rows are what the schema says, so they are taken as they come. */
export function prepareStatements(database: DatabaseSync): Statements {
  const get = database.prepare("SELECT namespace, name, object FROM objects WHERE resource = ? AND namespace = ? AND name = ?");
  const listAll = database.prepare(
    "SELECT namespace, name, object FROM objects WHERE resource = ? AND (namespace, name) > (?, ?) ORDER BY namespace, name LIMIT ?",
  );
  const listOne = database.prepare(
    "SELECT namespace, name, object FROM objects WHERE resource = ? AND namespace = ? AND name > ? ORDER BY name LIMIT ?",
  );
  const countAll = database.prepare("SELECT count(*) AS count FROM objects WHERE resource = ? AND (namespace, name) > (?, ?)");
  const countOne = database.prepare("SELECT count(*) AS count FROM objects WHERE resource = ? AND namespace = ? AND name > ?");
  const put = database.prepare(
    "INSERT INTO objects (resource, namespace, name, version, object) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version, object = excluded.object",
  );
  const remove = database.prepare("DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?");
  const reserved = database.prepare("SELECT reserved FROM versions");
  const began = database.prepare("SELECT began FROM versions");
  const reserve = database.prepare("UPDATE versions SET reserved = ?");
  const freePages = database.prepare("PRAGMA freelist_count");
  return {
    get: (key) => get.get(key.resource, key.namespace, key.name) as unknown as Row | undefined,
    list: (resource, namespace, after, limit = -1) =>
      (namespace === undefined
        ? listAll.all(resource, after.namespace, after.name, limit)
        : listOne.all(resource, namespace, after.name, limit)) as unknown as Row[],
    countAfter: (resource, namespace, after) => {
      const row =
        namespace === undefined ? countAll.get(resource, after.namespace, after.name) : countOne.get(resource, namespace, after.name);
      return Number(row?.["count"]);
    },
    put: (key, version, json) => void put.run(key.resource, key.namespace, key.name, version, json),
    remove: (key) => void remove.run(key.resource, key.namespace, key.name),
    reserved: () => Number(reserved.get()?.["reserved"]),
    began: () => Number(began.get()?.["began"]),
    reserve: (version) => void reserve.run(version),
    freePages: () => Number(freePages.get()?.["freelist_count"]),
  };
}
