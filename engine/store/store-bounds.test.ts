import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import type { KubeObject } from "@peapod/api";
import { eventually, Scope } from "@peapod/kit";
import { openStore } from "./open-store.ts";
import { HistoryGone, type Store } from "./store.ts";

const MIB = 1024 * 1024;
const key = (resource: string, name: string) => ({ resource, namespace: "default", name });
const object = (kind: string, data: string): KubeObject & { data: unknown } => ({
  apiVersion: "v1",
  kind,
  metadata: { name: "a", namespace: "default" },
  data: { value: data },
});

test("the store's files stay as small as what they hold, whatever was written and deleted", async () => {
  await withFolder(async (folder) => {
    await using scope = new Scope();
    const store = openStore(join(folder, "store.db"), scope);
    let made = store.create(key("configmaps", "a"), object("ConfigMap", "0"));
    for (let turn = 0; turn < 150; turn += 1)
      made = store.update(key("configmaps", "a"), object("ConfigMap", String(turn % 10).repeat(MIB)), made.metadata.resourceVersion ?? "");
    assert.ok(sizeOf(folder) < 24 * MIB, `${sizeOf(folder)} bytes while one object was changed`);
    for (let turn = 0; turn < 60; turn += 1) store.create(key("configmaps", `b-${turn}`), object("ConfigMap", "x".repeat(MIB)));
    assert.ok(sizeOf(folder) > 60 * MIB);
    for (let turn = 0; turn < 60; turn += 1) store.delete(key("configmaps", `b-${turn}`));
    await eventually(() => sizeOf(folder) < 24 * MIB, { withinMs: 60_000, everyMs: 250 });
  });
});

test("nothing of a deleted or replaced Secret stays in the store's files", async () => {
  await withFolder(async (folder) => {
    await using scope = new Scope();
    const store = openStore(join(folder, "store.db"), scope);
    const [small, large, old] = ["small-7f3a", "large-91cc", "old-55de"].map((word) => word.repeat(3)) as [string, string, string];
    store.create(key("secrets", "small"), object("Secret", small));
    store.create(key("secrets", "large"), object("Secret", large.repeat(2_000)));
    const made = store.create(key("secrets", "kept"), object("Secret", old));
    await store.sync();
    for (const word of [small, large, old]) assert.ok(isInFiles(folder, word), "or this test could not fail");
    store.delete(key("secrets", "small"));
    store.delete(key("secrets", "large"));
    store.update(key("secrets", "kept"), object("Secret", "new"), made.metadata.resourceVersion ?? "");
    await eventually(() => [small, large, old].every((word) => !isInFiles(folder, word)), { withinMs: 10_000, everyMs: 50 });
  });
});

test("openStore() of a file of version 1 keeps its objects and goes on above its versions, without its history", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "store.db");
    const database = new DatabaseSync(path);
    database.exec(`
      PRAGMA journal_mode = WAL;
      CREATE TABLE objects (resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        version INTEGER NOT NULL, object TEXT NOT NULL, UNIQUE (resource, namespace, name)) STRICT;
      CREATE TABLE history (version INTEGER PRIMARY KEY, written INTEGER NOT NULL, type TEXT NOT NULL, resource TEXT NOT NULL,
        namespace TEXT NOT NULL, name TEXT NOT NULL, object TEXT NOT NULL, previous TEXT) STRICT;
      INSERT INTO objects VALUES ('configmaps', 'default', 'a', 4711, '${JSON.stringify(object("ConfigMap", "kept"))}');
      INSERT INTO history VALUES (4712, 1, 'DELETED', 'secrets', 'default', 's', 'gone-with-the-history', NULL);
      PRAGMA user_version = 1;
    `);
    database.close();
    await using scope = new Scope();
    const store = openStore(path, scope);
    assert.deepEqual(store.get(key("configmaps", "a")), object("ConfigMap", "kept"));
    assert.ok(Number(store.resourceVersion) > 4712);
    assert.ok(!isInFiles(folder, "gone-with-the-history"));
  });
});

test("a reader that does not read is ended by the bytes that wait for it, and told at once", async () => {
  await withFolder(async (folder) => {
    await using scope = new Scope();
    const store = openStore(join(folder, "store.db"), scope, { readerBytes: 3 * MIB });
    let ended = 0;
    const options = { since: store.resourceVersion, onBehind: () => (ended += 1) };
    const events = store.watch("configmaps", options, scope.signal)[Symbol.asyncIterator]();
    const first = events.next(); // it reads one, and then no more
    change(store, 2);
    await first;
    assert.equal(ended, 0);
    change(store, 3);
    assert.equal(ended, 1);
    await assert.rejects(async () => {
      for (;;) await events.next();
    }, HistoryGone);
  });
});

function change(store: Store, times: number): void {
  for (let turn = 0; turn < times; turn += 1) {
    const known = store.get(key("configmaps", "a"));
    if (known === undefined) store.create(key("configmaps", "a"), object("ConfigMap", "x".repeat(MIB)));
    else store.update(key("configmaps", "a"), object("ConfigMap", "x".repeat(MIB)), known.metadata.resourceVersion ?? "");
  }
}

function sizeOf(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

function isInFiles(folder: string, word: string): boolean {
  return readdirSync(folder).some((name) => readFileSync(join(folder, name)).includes(word));
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "peapod-store-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
