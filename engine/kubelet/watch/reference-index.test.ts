import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "@peapod/api";
import { ReferenceIndex } from "./reference-index.ts";

const pod = (spec: { configMap?: string; secret?: string }, namespace = "shop"): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace },
  spec: {
    containers: [{ name: "web", ...(spec.configMap === undefined ? {} : { envFrom: [{ configMapRef: { name: spec.configMap } }] }) }],
    ...(spec.secret === undefined ? {} : { volumes: [{ name: "login", secret: { secretName: spec.secret } }] }),
  },
});

test("ReferenceIndex finds the pods that name an object, by kind and namespace, as they name it now", () => {
  const index = new ReferenceIndex();
  index.put("a", pod({ configMap: "one", secret: "two" }));
  index.put("b", pod({ configMap: "one" }));
  index.put("c", pod({ configMap: "one" }, "other"));
  index.put("d", pod({}));
  assert.deepEqual(index.users("configMaps", "shop", "one"), ["a", "b"]);
  assert.deepEqual(index.users("secrets", "shop", "two"), ["a"]);
  assert.deepEqual(index.users("secrets", "shop", "one"), []);
  index.put("a", pod({ configMap: "two" }));
  index.delete("b");
  assert.deepEqual([index.users("configMaps", "shop", "one"), index.users("secrets", "shop", "two")], [[], []]);
  assert.deepEqual(index.users("configMaps", "shop", "two"), ["a"]);
  index.delete("b");
});
