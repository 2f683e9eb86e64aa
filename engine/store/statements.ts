import type { DatabaseSync } from "node:sqlite";
import type { ObjectKey, StoreEvent } from "./store.ts";

export interface Row {
  readonly namespace: string;
  readonly name: string;
  readonly object: string;
}

export interface HistoryRow {
  readonly version: number;
  readonly type: StoreEvent["type"];
  readonly object: string;
  readonly previous: string | null;
}

export interface NewHistory {
  readonly version: number;
  readonly written: number;
  readonly type: StoreEvent["type"];
  readonly key: ObjectKey;
  readonly json: string;
  readonly previousJson: string | null;
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
  addHistory(row: NewHistory): void;
  /** A page of a resource's history, after `since` and up to `until`. */
  history(resource: string, namespace: string | undefined, since: number, until: number): HistoryRow[];
  /** Forgets up to `version` and up to what was written by `written`; gives the newest version forgotten, if any. */
  cutHistory(version: number, written: number): number | undefined;
  span(): { oldest: number | null; newest: number | null; written: number | null };
}

const PAGE = 256;

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
  const addHistory = database.prepare(
    "INSERT INTO history (version, written, type, resource, namespace, name, object, previous) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
  );
  const history = database.prepare(
    `SELECT version, type, object, previous FROM history WHERE resource = ? AND version > ? AND version <= ? AND (?4 IS NULL OR namespace = ?4) ORDER BY version LIMIT ${PAGE}`,
  );
  const cutPoint = database.prepare(
    "SELECT max(ifnull((SELECT max(version) FROM history WHERE version <= ?), 0), ifnull((SELECT version FROM history WHERE written <= ? ORDER BY written DESC LIMIT 1), 0)) AS version",
  );
  const cut = database.prepare("DELETE FROM history WHERE version <= ?");
  const span = database.prepare("SELECT min(version) AS oldest, max(version) AS newest, max(written) AS written FROM history");
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
    addHistory: ({ version, written, type, key, json, previousJson }) =>
      void addHistory.run(version, written, type, key.resource, key.namespace, key.name, json, previousJson),
    history: (resource, namespace, since, until) => history.all(resource, since, until, namespace ?? null) as unknown as HistoryRow[],
    cutHistory: (version, written) => {
      const point = Number(cutPoint.get(version, written)?.["version"]);
      if (point === 0) return undefined;
      cut.run(point);
      return point;
    },
    span: () => span.get() as unknown as { oldest: number | null; newest: number | null; written: number | null },
  };
}
