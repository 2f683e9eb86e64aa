import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { KubeObject } from "@peapod/api";
import { Scope } from "@peapod/kit";
import { hasCode } from "../errors.ts";
import { type DiskImage, diskImage } from "./disk-image.fixture.ts";
import { openStore } from "./open-store.ts";
import type { Store } from "./store.ts";

const key = (name: string) => ({ resource: "pods", namespace: "default", name });
const pod = (name: string, value: string): KubeObject => ({ apiVersion: "v1", kind: "Pod", metadata: { name, annotations: { value } } });
const NAMES = Array.from({ length: 200 }, (_, index) => `pod-${index}`);

test("on a full disk nothing larger is taken, everything can be marked and deleted, and it is on disk; with room all is as before", async () => {
  using disk = diskImage(64);
  const path = join(disk.root, "store.db");
  {
    await using scope = new Scope();
    const store = openStore(path, scope);
    for (const name of NAMES) store.create(key(name), pod(name, "x".repeat(10_000)));
    await store.sync();
    fill(disk);
    assert.match(store.trouble ?? "", /disk of .*store\.db is full: free/);
    assert.throws(() => store.create(key("more"), pod("more", "")), code("STORE_FULL"));
    assert.throws(() => store.update(key("pod-0"), pod("pod-0", "x".repeat(20_000)), versionOf(store, "pod-0")), code("STORE_FULL"));
    for (const name of NAMES) store.update(key(name), pod(name, "y".repeat(10_100)), versionOf(store, name));
    await store.sync();
    for (const name of NAMES.slice(0, 150)) store.delete(key(name));
    await store.sync();
  }
  {
    await using scope = new Scope(); // the next engine, on the disk that is full still
    const store = openStore(path, scope);
    assert.deepEqual(new Set(store.list("pods").items.map(({ metadata }) => metadata.name)), new Set(NAMES.slice(150)));
    for (const name of NAMES.slice(150)) store.delete(key(name));
    await store.sync();
    assert.match(store.trouble ?? "", /is full/);
    rmSync(join(disk.root, "filler"));
    assert.equal(store.trouble, undefined);
    store.create(key("after"), pod("after", "x".repeat(10_000)));
    await store.sync();
  }
  await using scope = new Scope();
  const after = openStore(path, scope).list("pods").items;
  assert.deepEqual(
    after.map(({ metadata }) => metadata.name),
    ["after"],
  );
});

test("on a disk that became read-only, and one that is at the start, objects are seen and can be deleted, in memory", async () => {
  using disk = diskImage(64);
  const path = join(disk.root, "store.db");
  await using folders = new Scope();
  const memoryDir = mkdtempSync(join(tmpdir(), "peapod-memory-"));
  folders.defer(() => rmSync(memoryDir, { recursive: true }));
  const deleteOne = async (store: Store, kept: string): Promise<void> => {
    assert.ok(store.get(key(kept)));
    store.delete(key("a"));
    await store.sync();
    assert.equal(store.get(key("a")), undefined);
    assert.match(store.trouble ?? "", /is read-only: mount it for writing, then restart the engine/);
    assert.throws(() => store.create(key("more"), pod("more", "")), code("STORE_READ_ONLY"));
  };
  {
    await using scope = new Scope();
    const store = openStore(path, scope, { memoryDir });
    for (const name of ["a", "b"]) store.create(key(name), pod(name, ""));
    await store.sync();
    disk.fail();
    await deleteOne(store, "b");
  }
  {
    await using scope = new Scope();
    await deleteOne(openStore(path, scope, { memoryDir }), "b");
  }
  assert.ok(!existsSync(join(memoryDir, "store-copy")));
  await using scope = new Scope();
  assert.throws(() => openStore(path, scope), code("STORE_READ_ONLY"));
});

test("openStore() of a damaged file says what to do", async () => {
  await using scope = new Scope();
  const folder = mkdtempSync(join(tmpdir(), "peapod-store-"));
  scope.defer(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "store.db");
  {
    await using first = new Scope();
    openStore(path, first);
  }
  writeFileSync(path, Buffer.alloc(100_000, "damaged"));
  assert.throws(() => openStore(path, scope), code("STORE_DAMAGED"));
});

function fill({ root }: DiskImage): void {
  for (const size of [1024 * 1024, 4096, 1]) {
    try {
      for (;;) writeFileSync(join(root, "filler"), Buffer.alloc(size), { flag: "a" });
    } catch (cause) {
      assert.match(String(cause), /ENOSPC/);
    }
  }
}

function versionOf(store: Store, name: string): string {
  return store.get(key(name))?.metadata.resourceVersion ?? "";
}

function code(wanted: Parameters<typeof hasCode>[1]): (error: unknown) => boolean {
  return (error) => hasCode(error, wanted);
}
