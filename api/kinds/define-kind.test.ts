import assert from "node:assert/strict";
import { test } from "node:test";
import { defineKind } from "./define-kind.ts";
import type { KubeObject } from "./resource.ts";
import { resources } from "./resources.ts";
import { statusSubresource } from "./status-subresource.ts";

type Thing = KubeObject & { spec?: { size: number }; status?: { ready: boolean } };

const names = { kind: "Thing", plural: "things", singular: "thing", typeName: "example.Thing", fieldRules: {} };
const plain = defineKind<Thing>(names);
const things = defineKind<Thing>({ ...names, subresources: [statusSubresource()] });
const thing = (size: number, more: Partial<Thing> = {}): Thing => ({
  apiVersion: "v1",
  kind: "Thing",
  metadata: { name: "a" },
  spec: { size },
  ...more,
});

test("defineKind() gives a kind without opinions every verb, upstream's two columns, and a deletion at once", () => {
  assert.equal(plain.verbs.length, 8);
  assert.deepEqual(
    plain.columns.map(({ name }) => name),
    ["Name", "Created At"],
  );
  assert.deepEqual([plain.deletionGrace(thing(1), 30), plain.awaitsCleanup(thing(1)), plain.answersDeleted], [0, false, false]);
});

test("defineKind() has the status written through its own path only, where there is one", () => {
  const [old, given] = [thing(1, { status: { ready: false } }), thing(2, { status: { ready: true } })];
  assert.deepEqual(things.prepareNew(given), thing(2));
  assert.deepEqual(things.keep(given, old), thing(2, { status: { ready: false } }));
  assert.deepEqual(things.keep(given, thing(1)), thing(2));
  const owners = [{ apiVersion: "v1", kind: "Pod", name: "o", uid: "u" }];
  const labelled = { ...given, metadata: { name: "a", labels: { a: "b" }, ownerReferences: owners } };
  const written = things.subresources[0]?.write?.(labelled, old);
  assert.deepEqual(written, thing(1, { status: { ready: true }, metadata: { name: "a", labels: { a: "b" } } }));
  assert.deepEqual([plain.prepareNew(given), plain.keep(given, old)], [given, given]);
});

test("defineKind() counts what changes the object's meaning, not its metadata nor its status", () => {
  assert.equal(things.hasGeneration, true);
  assert.equal(things.isRevision(thing(2), thing(1)), true);
  assert.equal(things.isRevision(thing(1, { metadata: { name: "a", labels: { a: "b" } }, status: { ready: true } }), thing(1)), false);
});

test("resources has each kind, and each path, once", () => {
  const ids = resources.flatMap(({ group, version, kind, plural }) => [`${group}/${version} ${kind}`, `${group}/${version}/${plural}`]);
  assert.equal(new Set(ids).size, ids.length);
});
