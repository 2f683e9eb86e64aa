import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request as httpsRequest } from "node:https";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";
import { configMaps, type ConfigMap } from "@peapod/api";
import { connectHttp } from "@peapod/client";
import { abortAfter, eventually } from "@peapod/kit";
import { EngineError } from "../../errors.ts";
import { type Serving, serving } from "../http/serving.fixture.ts";

const object = (value: string): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "a", namespace: "default" },
  data: { value },
});
const place = { namespace: "default", name: "a" };

test("a watcher that never reads is cut off, and one beside it that reads sees everything", async () => {
  await using served = await serving();
  const { api } = served.ground;
  api.create(configMaps, "default", object("0"), {});
  const version = api.list(configMaps, {}).resourceVersion;
  const silent = await watch(served, version);
  silent.pause();
  const reading = await watch(served, version);
  let seen = 0;
  reading.on("data", (chunk: Buffer) => (seen += chunk.toString("latin1").split('"type":"MODIFIED"').length - 1));
  for (let turns = 1; turns <= 30; turns += 1) {
    api.patch(configMaps, place, { type: "merge", body: { data: { value: String(turns % 10).repeat(1_000_000) } } }, {});
    await eventually(() => seen >= turns, { withinMs: 20_000, everyMs: 2 });
  }
  let bytes = 0; // what lies in the kernel's buffers, and then nothing more
  const closed = new Promise<void>((resolve) => silent.once("close", resolve));
  silent.on("error", () => {}); // cut off
  silent.on("data", (chunk: Buffer) => (bytes += chunk.length));
  silent.resume();
  await closed;
  assert.ok(!silent.complete && bytes < 20_000_000, `${bytes} bytes came`);
  reading.destroy();
});

test("a write is answered when it is on disk, and until then nobody outside sees it", async () => {
  await using served = await serving();
  const { api } = served.ground;
  const client = await connectHttp({ kubeconfig: served.kubeconfig });
  const signal = abortAfter(20_000);
  const { promise: onDisk, resolve: bringToDisk } = Promise.withResolvers<void>();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  api.sync = async () => {
    ask();
    await onDisk;
  };
  api.settled = async () => onDisk;
  const done: string[] = [];
  const created = client.create(configMaps, object("1"), {}, signal).then(() => done.push("created"));
  await asked;
  const events = await watch(served, "0");
  events.on("data", () => done.push("watched"));
  const read = client.get(configMaps, place, signal).then(() => done.push("read"));
  await client.list(configMaps, { namespace: "default", labelSelector: "a=b" }, abortAfter(300)).catch(() => done.push("waits"));
  assert.deepEqual(done, ["waits"]);
  bringToDisk();
  await Promise.all([created, read]);
  await eventually(() => done.includes("watched"), { withinMs: 5_000 });
  events.destroy();
});

test("what the disk does not take is 503, and says what to do", async () => {
  await using served = await serving();
  const client = await connectHttp({ kubeconfig: served.kubeconfig });
  served.ground.api.create = () => {
    throw new EngineError("STORE_FULL", "The disk of /x is full: free some of it");
  };
  await assert.rejects(client.create(configMaps, object("1"), {}, abortAfter(20_000)), { code: 503, message: /free some of it/ });
});

async function watch(served: Serving, resourceVersion: string): Promise<IncomingMessage> {
  const { ca, adminCert: cert, adminKey: key } = served.pki;
  const path = `/api/v1/configmaps?watch=1&resourceVersion=${resourceVersion}`;
  const request = httpsRequest({ host: "127.0.0.1", port: served.port, path, ca, cert, key, agent: new Agent() });
  request.end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return response;
}
