import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { parseJson } from "@peapod/api";
import { Scope } from "@peapod/kit";
import { openStore } from "./open-store.ts";
import { HistoryGone } from "./store.ts";
import { storeConformance } from "./store.conformance.ts";

storeConformance("SqliteStore", async (use) => {
  await inTemporaryFolder(async (folder) => {
    await using scope = new Scope();
    await use(openStore(join(folder, "store.db"), scope, { historyChanges: 200, readerChanges: 1_000 }));
  });
});

test("openStore() finds objects again, and goes on above every version that was given out", async () => {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, "store.db");
    const key = { resource: "pods", namespace: "default", name: "a" };
    let made: string;
    let version: string;
    {
      await using scope = new Scope();
      const store = openStore(path, scope);
      const grown = { name: "a", generation: parseJson("9223372036854775807") as number }; // what stands for it
      made = store.create(key, { apiVersion: "v1", kind: "Pod", metadata: grown }).metadata.resourceVersion ?? "";
      store.create({ ...key, name: "b" }, { apiVersion: "v1", kind: "Pod", metadata: { name: "b" } });
      store.delete({ ...key, name: "b" });
      version = store.resourceVersion;
    }
    await using scope = new Scope();
    const store = openStore(path, scope);
    assert.equal(store.get(key)?.metadata.resourceVersion, made);
    assert.match(JSON.stringify(store.get(key)), /"generation":9223372036854775807,/);
    assert.ok(Number(store.resourceVersion) > Number(version));
    const { signal } = new AbortController();
    for (const since of [made, version]) assert.throws(() => store.watch("pods", { since }, signal), HistoryGone);
  });
});

test("openStore() of a store without its file begins above the versions of the one before", async () => {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, "store.db");
    const open = async (): Promise<number> => {
      await using scope = new Scope();
      return Number(openStore(path, scope).resourceVersion);
    };
    const first = await open();
    await rm(path);
    assert.ok((await open()) > first);
  });
});

test("openStore() says so when the file is of a newer version, or no database", async () => {
  await inTemporaryFolder(async (folder) => {
    await using scope = new Scope();
    const newer = join(folder, "newer.db");
    const database = new DatabaseSync(newer);
    database.exec("PRAGMA user_version = 99");
    database.close();
    assert.throws(() => openStore(newer, scope), /store version 99, this program knows up to 2/);
    const other = join(folder, "other.db");
    await writeFile(other, "this is not a database, whatever its name says, not at all");
    assert.throws(() => openStore(other, scope), /is damaged, or no database/);
  });
});

test("openStore() keeps every acknowledged write of a writer killed at any moment", async () => {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, "store.db");
    for (let round = 0; round < 6; round++) {
      const acknowledged = await writeUntilKilled(path, round, 60 + Math.random() * 120);
      await using scope = new Scope();
      const store = openStore(path, scope);
      for (const name of acknowledged)
        assert.ok(store.get({ resource: "pods", namespace: `round-${round}`, name }), `${name} of round ${round} is lost`);
      assert.ok(acknowledged.length > 0);
      const newest = Math.max(...store.list("pods").items.map((item) => Number(item.metadata.resourceVersion)));
      assert.ok(Number(store.resourceVersion) > newest);
    }
  });
});

const writer = `
  import { parseJson } from "@peapod/api";
import { Scope } from "@peapod/kit";
  import { writeSync } from "node:fs";
  const { openStore } = await import(process.argv[1]);
  const [path, namespace] = process.argv.slice(2);
  const store = openStore(path, new Scope());
  for (let turn = 0; ; turn++) {
    const name = "pod-" + turn;
    store.create({ resource: "pods", namespace, name }, { apiVersion: "v1", kind: "Pod", metadata: { name, namespace, annotations: { padding: "x".repeat(4000) } } });
    writeSync(1, name + "\\n");
  }
`;

async function writeUntilKilled(path: string, round: number, afterMs: number): Promise<string[]> {
  const module = new URL("./open-store.ts", import.meta.url).href;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", writer, module, path, `round-${round}`], {
    stdio: ["ignore", "pipe", "inherit"],
    cwd: import.meta.dirname,
  });
  const closed = once(child, "close");
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
  await once(child.stdout, "data");
  await delay(afterMs); // the moment of the kill is what this test varies
  child.kill("SIGKILL");
  await closed;
  return output.split("\n").slice(0, -1);
}

async function inTemporaryFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "peapod-store-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
