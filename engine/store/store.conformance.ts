import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "@peapod/api";
import { HistoryGone, type Store, StoreConflict, type StoreEvent } from "./store.ts";

const pod = (name: string, value = "0", namespace = "default"): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace, labels: { value } },
});
const key = (name: string, namespace = "default") => ({ resource: "pods", namespace, name });

/** What every Store promises; `withStore` opens a new one whose history holds at least 100 and at most 1,000 changes. */
export function storeConformance(label: string, withStore: (use: (store: Store) => Promise<void>) => Promise<void>): void {
  const scenario = (does: string, use: (store: Store) => Promise<void>): void => {
    void test(`${label} ${does}`, () => withStore(use));
  };

  scenario("create() stores an object with the next version, get() gives it back", async (store) => {
    const before = Number(store.resourceVersion);
    const made = store.create(key("a"), pod("a"));
    assert.equal(Number(made.metadata.resourceVersion), before + 1);
    assert.equal(store.resourceVersion, made.metadata.resourceVersion);
    assert.deepEqual(store.get(key("a")), made);
    assert.equal(store.get(key("b")), undefined);
  });

  scenario("create() refuses what exists, update() and delete() what changed or is missing", async (store) => {
    const made = store.create(key("a"), pod("a"));
    const version = made.metadata.resourceVersion ?? "";
    assert.throws(() => store.create(key("a"), pod("a")), isConflict("exists"));
    assert.throws(() => store.update(key("b"), pod("b"), version), isConflict("missing"));
    assert.throws(() => store.delete(key("b")), isConflict("missing"));
    const next = store.update(key("a"), pod("a", "1"), version);
    assert.throws(() => store.update(key("a"), pod("a", "2"), version), isConflict("changed"));
    assert.throws(() => store.delete(key("a"), version), isConflict("changed"));
    assert.equal(store.get(key("a"))?.metadata.labels?.["value"], "1");
    store.delete(key("a"), next.metadata.resourceVersion);
    assert.equal(store.get(key("a")), undefined);
  });

  scenario("gives objects that nobody can change", async (store) => {
    const given = pod("a");
    const made = store.create(key("a"), given);
    given.metadata.name = "other";
    assert.throws(() => (made.metadata.name = "other"), TypeError);
    assert.equal(store.get(key("a"))?.metadata.name, "a");
  });

  scenario("list() pages by namespace and name", async (store) => {
    for (const [name, namespace] of [
      ["b", "x"],
      ["a", "y"],
      ["a", "x"],
      ["c", "x"],
    ] as const)
      store.create(key(name, namespace), pod(name, "0", namespace));
    store.create({ resource: "secrets", namespace: "x", name: "s" }, pod("s"));
    const names = (items: readonly KubeObject[]) => items.map((item) => `${item.metadata.namespace}/${item.metadata.name}`);
    assert.deepEqual(names(store.list("pods").items), ["x/a", "x/b", "x/c", "y/a"]);
    assert.deepEqual(names(store.list("pods", { namespace: "x" }).items), ["x/a", "x/b", "x/c"]);
    const first = store.list("pods", { limit: 2 });
    assert.deepEqual([names(first.items), first.remaining], [["x/a", "x/b"], 2]);
    const second = store.list("pods", { limit: 2, after: { namespace: "x", name: "b" } });
    assert.deepEqual([names(second.items), second.remaining], [["x/c", "y/a"], 0]);
    assert.deepEqual(names(store.list("pods", { namespace: "x", after: { namespace: "x", name: "a" } }).items), ["x/b", "x/c"]);
  });

  scenario("watch() replays the history, then goes on live, in order and without a gap", async (store) => {
    const since = store.resourceVersion;
    const made = store.create(key("a"), pod("a"));
    store.create({ resource: "secrets", namespace: "default", name: "s" }, pod("s"));
    const stop = new AbortController();
    const events = store.watch("pods", { since }, stop.signal)[Symbol.asyncIterator]();
    const first = await take(events);
    assert.deepEqual([first.type, first.object, first.previous], ["ADDED", made, undefined]);
    const changed = store.update(key("a"), pod("a", "1"), made.metadata.resourceVersion ?? "");
    store.delete(key("a"));
    const second = await take(events);
    assert.deepEqual([second.type, second.object, second.previous], ["MODIFIED", changed, made]);
    const third = await take(events);
    assert.deepEqual([third.type, third.previous, third.resourceVersion], ["DELETED", changed, store.resourceVersion]);
    assert.equal(third.object.metadata.resourceVersion, store.resourceVersion);
    const waiting = events.next();
    stop.abort();
    await assert.rejects(waiting, { name: "AbortError" });
  });

  scenario("watch() keeps to one namespace", async (store) => {
    const since = store.resourceVersion;
    const stop = new AbortController();
    const events = store.watch("pods", { since, namespace: "x" }, stop.signal)[Symbol.asyncIterator]();
    store.create(key("a", "y"), pod("a", "0", "y"));
    store.create(key("b", "x"), pod("b", "0", "x"));
    assert.equal((await take(events)).object.metadata.name, "b");
    stop.abort();
  });

  scenario("watch() throws HistoryGone at once for what the history forgot, or never knew", async (store) => {
    const since = store.resourceVersion;
    let object = store.create(key("a"), pod("a"));
    for (let turn = 0; turn < 1_500; turn++) object = store.update(key("a"), pod("a", String(turn)), object.metadata.resourceVersion ?? "");
    const { signal } = new AbortController();
    assert.throws(() => store.watch("pods", { since }, signal), HistoryGone);
    assert.throws(() => store.watch("pods", { since: String(Number(store.resourceVersion) + 1) }, signal), HistoryGone);
    const recent = String(Number(store.resourceVersion) - 90);
    const events = store.watch("pods", { since: recent }, signal)[Symbol.asyncIterator]();
    for (let turn = 1; turn <= 90; turn++) assert.equal(Number((await take(events)).resourceVersion), Number(recent) + turn);
    await events.return?.();
  });

  scenario("watch() ends a reader that falls too far behind", async (store) => {
    const { signal } = new AbortController();
    const events = store.watch("pods", { since: store.resourceVersion }, signal)[Symbol.asyncIterator]();
    const first = events.next();
    let object = store.create(key("a"), pod("a"));
    await first;
    for (let turn = 0; turn < 6_000; turn++) object = store.update(key("a"), pod("a", String(turn)), object.metadata.resourceVersion ?? "");
    await assert.rejects(async () => {
      for (;;) await take(events);
    }, HistoryGone);
  });
}

async function take(events: AsyncIterator<StoreEvent>): Promise<StoreEvent> {
  const result = await events.next();
  assert.ok(result.done !== true, "The watch ended");
  return result.value;
}

function isConflict(reason: StoreConflict["reason"]): (error: unknown) => boolean {
  return (error) => error instanceof StoreConflict && error.reason === reason;
}
