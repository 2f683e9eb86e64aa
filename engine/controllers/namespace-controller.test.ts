import assert from "node:assert/strict";
import { test } from "node:test";
import { namespaces, pods, secrets, serviceAccounts } from "@peapod/api";
import { eventually, silentLogger, systemClock } from "@peapod/kit";
import { inProcess, minimalPod } from "../apiserver/verbs/api-ground.fixture.ts";
import { runNamespaceController } from "./namespace-controller.ts";

const none = new AbortController().signal;

test("a namespace takes its content along, and takes nothing new meanwhile", async () => {
  await using ground = inProcess();
  const stop = new AbortController();
  const running = runNamespaceController({ client: ground.client, clock: systemClock, log: silentLogger }, stop.signal);
  await ground.client.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name: "x" } }, {}, none);
  assert.ok(ground.api.get(serviceAccounts, { namespace: "x", name: "default" }));
  const pod = minimalPod("a", { nodeName: "n" });
  await ground.client.create(pods, { ...pod, metadata: { name: "a", namespace: "x" } }, {}, none);
  await ground.client.create(secrets, { apiVersion: "v1", kind: "Secret", metadata: { name: "s", namespace: "x" } }, {}, none);
  const deleted = await ground.client.delete(namespaces, { name: "x" }, {}, none);
  assert.equal(deleted?.status?.phase, "Terminating");
  const again = await ground.client.delete(namespaces, { name: "x" }, { gracePeriodSeconds: 0 }, none);
  assert.equal(again?.metadata.deletionTimestamp, deleted?.metadata.deletionTimestamp);
  await eventually(() => ground.api.list(secrets, { namespace: "x" }).items.length === 0, { withinMs: 2_000 });
  assert.equal(ground.api.list(pods, { namespace: "x" }).items.length, 1);
  await assert.rejects(
    ground.client.create(secrets, { apiVersion: "v1", kind: "Secret", metadata: { name: "t", namespace: "x" } }, {}, none),
    (error) => {
      const { code, details } = ground.api.statusOf(error);
      return code === 403 && details?.causes?.[0]?.reason === "NamespaceTerminating";
    },
  );
  await ground.client.delete(pods, { namespace: "x", name: "a" }, { gracePeriodSeconds: 0 }, none);
  await eventually(() => ground.api.list(namespaces, { fieldSelector: "metadata.name=x" }).items.length === 0, { withinMs: 2_000 });
  await assert.rejects(
    ground.client.delete(namespaces, { name: "default" }, {}, none),
    /namespaces "default" is forbidden: this namespace may not be deleted/,
  );
  stop.abort();
  await running;
});
