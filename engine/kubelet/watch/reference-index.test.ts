import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "@peapod/api";
import { type Reference, ReferenceIndex } from "./reference-index.ts";

const pod = (spec: { configMap?: string; secret?: string }, namespace = "shop"): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace },
  spec: {
    containers: [{ name: "web", ...(spec.configMap === undefined ? {} : { envFrom: [{ configMapRef: { name: spec.configMap } }] }) }],
    ...(spec.secret === undefined ? {} : { volumes: [{ name: "login", secret: { secretName: spec.secret } }] }),
  },
});

test("ReferenceIndex finds the pods that name an object, by kind and namespace, as they name it now; each is watched while one does", () => {
  const watched = new Set<string>();
  const watch = ({ kind, namespace, name }: Reference): Disposable => {
    const key = `${kind}/${namespace}/${name}`;
    assert.ok(!watched.has(key), key);
    watched.add(key);
    return { [Symbol.dispose]: () => watched.delete(key) };
  };
  const index = new ReferenceIndex(watch);
  index.put("a", pod({ configMap: "one", secret: "two" }));
  index.put("b", pod({ configMap: "one" }));
  index.put("c", pod({ configMap: "one" }, "other"));
  index.put("d", pod({}));
  assert.deepEqual(index.users({ kind: "configMaps", namespace: "shop", name: "one" }), ["a", "b"]);
  assert.deepEqual(index.users({ kind: "secrets", namespace: "shop", name: "two" }), ["a"]);
  assert.deepEqual(index.users({ kind: "secrets", namespace: "shop", name: "one" }), []);
  index.put("a", pod({ configMap: "two" }));
  index.delete("b");
  assert.deepEqual(
    [index.users({ kind: "configMaps", namespace: "shop", name: "one" }), index.users({ kind: "secrets", namespace: "shop", name: "two" })],
    [[], []],
  );
  assert.deepEqual(index.users({ kind: "configMaps", namespace: "shop", name: "two" }), ["a"]);
  index.put("a", pod({ configMap: "two" }));
  index.delete("b");
  assert.deepEqual([...watched], ["configMaps/other/one", "configMaps/shop/two"]);
  index.delete("a");
  index.delete("c");
  assert.deepEqual([...watched], []);
});
