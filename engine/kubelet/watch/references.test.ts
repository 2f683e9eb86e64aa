import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "@peapod/api";
import { referenceNames } from "./references.ts";

test("referenceNames() finds what containers of every list name, and what volumes do", () => {
  const names = (
    configMap: string,
    secret: string,
  ): Pick<NonNullable<NonNullable<Pod["spec"]>["containers"]>[number], "env" | "envFrom"> => ({
    envFrom: [{ configMapRef: { name: configMap } }],
    env: [{ name: "KEY", valueFrom: { secretKeyRef: { name: secret, key: "key" } } }],
  });
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web" },
    spec: {
      initContainers: [
        { name: "first", ...names("first", "first-key") },
        { name: "beside", restartPolicy: "Always", ...names("beside", "beside-key") },
      ],
      containers: [{ name: "web", ...names("web", "web-key") }],
      ephemeralContainers: [{ name: "look", ...names("look", "look-key") }],
      volumes: [{ name: "login", secret: { secretName: "login" } }],
    },
  };
  const { configMaps, secrets } = referenceNames(pod);
  assert.deepEqual([...configMaps].toSorted(), ["beside", "first", "look", "web"]);
  assert.deepEqual([...secrets].toSorted(), ["beside-key", "first-key", "login", "look-key", "web-key"]);
});
