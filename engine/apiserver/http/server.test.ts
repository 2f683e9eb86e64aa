import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { pods } from "@peapod/api";
import { WebSocket } from "ws";
import { parse } from "yaml";
import { minimalPod } from "../verbs/api-ground.fixture.ts";
import { ask, type Asked, open } from "./asking.fixture.ts";
import type { Exchange } from "./exchange.ts";
import { type Serving, serving } from "./serving.fixture.ts";
import { StubNodeServer } from "../subresources/stub-node-server.fixture.ts";

const json = { "Content-Type": "application/json" };

const wrong: { does: string; path: string; asked: Asked; code: number; want: RegExp }[] = [
  {
    does: "malformed JSON",
    path: "/api/v1/namespaces/default/pods",
    asked: { method: "POST", headers: json, body: "{" },
    code: 400,
    want: /the body is not JSON/,
  },
  {
    does: "broken YAML",
    path: "/api/v1/namespaces/default/pods",
    asked: { method: "POST", headers: { "Content-Type": "application/yaml" }, body: "a: [" },
    code: 400,
    want: /the body is not YAML: /,
  },
  {
    does: "YAML that is too long",
    path: "/api/v1/namespaces/default/pods",
    asked: { method: "POST", headers: { "Content-Type": "application/yaml" }, body: Buffer.alloc(300 * 1024, " ") },
    code: 413,
    want: /limit is 262144 for YAML: send application\/json/,
  },
  {
    does: "a body of another type",
    path: "/api/v1/namespaces/default/pods",
    asked: { method: "POST", headers: { "Content-Type": "application/xml" }, body: "<a/>" },
    code: 415,
    want: /accepted media types include: application\/json, application\/yaml, application\/vnd.kubernetes.protobuf/,
  },
  {
    does: "a watch in YAML",
    path: "/api/v1/pods?watch=1",
    asked: { headers: { Accept: "application/yaml" } },
    code: 406,
    want: /media types are accepted: application\/json/,
  },
  {
    does: "a protobuf pod",
    path: "/api/v1/namespaces/default/pods",
    asked: {
      method: "POST",
      headers: { "Content-Type": "application/vnd.kubernetes.protobuf" },
      body: Buffer.from("k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod", "latin1"),
    },
    code: 415,
    want: /a Pod in protobuf is not understood/,
  },
  {
    does: "broken protobuf",
    path: "/api/v1/namespaces",
    asked: {
      method: "POST",
      headers: { "Content-Type": "application/vnd.kubernetes.protobuf" },
      body: Buffer.from("k8s\0\x0a\x99", "latin1"),
    },
    code: 400,
    want: /not a Kubernetes protobuf message/,
  },
  {
    does: "a body that is too long",
    path: "/api/v1/namespaces/default/pods",
    asked: { method: "POST", headers: json, body: Buffer.alloc(4 * 1024 * 1024, " ") },
    code: 413,
    want: /limit is 3145728/,
  },
  { does: "a path that is not", path: "/api/v1/widgets", asked: {}, code: 404, want: /could not find the requested resource/ },
  { does: "a path that cannot be decoded", path: "/api/v1/namespaces/%ff/pods", asked: {}, code: 404, want: /could not find/ },
  {
    does: "OpenAPI v2 in a form that is not",
    path: "/openapi/v2",
    asked: { headers: { Accept: "application/yaml" } },
    code: 406,
    want: /only the following media types/,
  },
  {
    does: "a deletion in protobuf on a condition that is not met",
    path: "/api/v1/namespaces/default",
    asked: {
      method: "DELETE",
      headers: { "Content-Type": "application/vnd.kubernetes.protobuf" },
      body: Buffer.from("k8s\0\x0a\x13\x0a\x02v1\x12\x0dDeleteOptions\x12\x07\x12\x05\x0a\x03abc", "latin1"),
    },
    code: 409,
    want: /the UID in the precondition \(abc\)/,
  },
  {
    does: "a kind that nests without end",
    path: "/api/v1/namespaces",
    asked: { method: "POST", headers: json, body: `{"kind":${"[".repeat(100_000)}${"]".repeat(100_000)}}` },
    code: 400,
    want: /the kind in the data \(which is no text\) does not match/,
  },
  {
    does: "a deletion on a condition of the wrong type",
    path: "/api/v1/namespaces/default",
    asked: { method: "DELETE", headers: json, body: '{"preconditions":["a"]}' },
    code: 400,
    want: /preconditions: wants an object, found a list/,
  },
  {
    does: "a deletion that says wrongly that it is only to be tried",
    path: "/api/v1/namespaces/default?dryRun=all",
    asked: { method: "DELETE" },
    code: 400,
    want: /dryRun=\\"all\\": expected All/,
  },
  {
    does: "the same in its body",
    path: "/api/v1/namespaces/default",
    asked: { method: "DELETE", headers: json, body: '{"dryRun":["yes"]}' },
    code: 400,
    want: /dryRun=\\"yes\\": expected All/,
  },
  {
    does: "a verb that is not",
    path: "/api/v1/namespaces/default/pods",
    asked: { method: "PUT", headers: json, body: "{}" },
    code: 405,
    want: /put is not supported on resources of kind \\"pods\\"/,
  },
  {
    does: "a form that is not",
    path: "/api/v1/pods",
    asked: { headers: { Accept: "application/xml" } },
    code: 406,
    want: /only the following media types are accepted: application\/json, application\/yaml/,
  },
  {
    does: "server-side apply",
    path: "/api/v1/namespaces/default/pods/a",
    asked: { method: "PATCH", headers: { "Content-Type": "application/apply-patch+yaml" }, body: "{}" },
    code: 415,
    want: /server-side apply is not supported/,
  },
  { does: "a wrong query", path: "/api/v1/pods?limit=x", asked: {}, code: 400, want: /invalid query parameter limit/ },
  {
    does: "exec without a WebSocket",
    path: "/api/v1/namespaces/default/pods/a/exec?command=ls",
    asked: { method: "POST" },
    code: 400,
    want: /exec and cp need a WebSocket .* kubectl speaks from 1\.30 on/,
  },
  {
    does: "SPDY for a pod that is not",
    path: "/api/v1/namespaces/default/pods/a/exec?command=ls",
    asked: { method: "POST", headers: { Connection: "Upgrade", Upgrade: "SPDY/3.1" } },
    code: 404,
    want: /pods \\"a\\" not found/,
  },
];
test("serve() refuses with a Status", async (context) => {
  await using served = await serving();
  for (const { does, path, asked, code, want } of wrong) {
    await context.test(does, async () => {
      const answer = await ask(served, path, asked);
      assert.equal(answer.code, code, answer.body);
      assert.equal((parse(answer.body) as { kind: string }).kind, "Status");
      assert.match(answer.body, want);
    });
  }
});

test("serve() gives warnings as headers", async () => {
  await using served = await serving();
  const body = JSON.stringify({ ...minimalPod("a"), spec: { ...minimalPod("a").spec, fö: 1 } });
  const answer = await ask(served, "/api/v1/namespaces/default/pods", { method: "POST", headers: json, body });
  assert.equal(answer.code, 201);
  assert.equal(answer.headers["warning"], '299 - "unknown field \\"spec[f?]\\""');
});

test("serve() streams a watch, as objects and as tables, and ends it when the time is up", async () => {
  await using served = await serving();
  const lines = async (path: string, accept: string): Promise<{ type: string; object: Record<string, unknown> }[]> => {
    const { body } = await ask(served, path, { headers: { Accept: accept } });
    return body
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string; object: Record<string, unknown> });
  };
  served.ground.api.create(pods, "default", minimalPod("a"), {});
  const watching = lines("/api/v1/pods?watch=1&timeoutSeconds=1", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
  const plain = lines(
    "/api/v1/pods?watch=true&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
    "application/json",
  );
  await eventually(() => served.ground.api.list(pods, {}).items.length === 1, { withinMs: 1_000 });
  setTimeout(() => served.ground.api.delete(pods, { namespace: "default", name: "a" }, {}), 300);
  const tables = await watching;
  assert.deepEqual(
    tables.map(({ type, object }) => [type, object["kind"], (object["columnDefinitions"] as unknown[]).length]),
    [
      ["ADDED", "Table", 9],
      ["DELETED", "Table", 0],
    ],
  );
  assert.deepEqual(
    (await plain).map(({ type, object }) => [type, object["kind"]]),
    [
      ["ADDED", "Pod"],
      ["BOOKMARK", "Pod"],
      ["DELETED", "Pod"],
    ],
  );
  const expired = await ask(served, "/api/v1/pods?watch=1&resourceVersion=9000000000000000");
  assert.equal(expired.code, 504);
});

test("serve() serves discovery in both forms, and OpenAPI that clients may keep", async () => {
  await using served = await serving();
  const aggregated = await ask(served, "/apis", {
    headers: { Accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json" },
  });
  assert.equal(aggregated.headers["content-type"], "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  assert.match((await ask(served, "/apis")).body, /"kind":"APIGroupList".*coordination\.k8s\.io/);
  assert.match((await ask(served, "/api/v1")).body, /"name":"pods\/exec"/);
  const index = JSON.parse((await ask(served, "/openapi/v3")).body) as { paths: Record<string, { serverRelativeURL: string }> };
  const document = await ask(served, index.paths["api/v1"]?.serverRelativeURL ?? "");
  assert.equal(document.code, 200);
  const again = await ask(served, "/openapi/v3/api/v1", { headers: { "If-None-Match": String(document.headers["etag"]) } });
  assert.deepEqual([again.code, again.body], [304, ""]);
});

test("serve() serves OpenAPI v2 as JSON, and as protobuf to who asks for it", async () => {
  await using served = await serving();
  const { swagger, definitions } = JSON.parse((await ask(served, "/openapi/v2")).body) as { swagger: string; definitions: object };
  assert.equal(swagger, "2.0");
  const references = JSON.stringify(definitions).matchAll(/"\$ref":"#\/definitions\/([^"]+)"/g);
  for (const [, name] of references) assert.ok(Object.hasOwn(definitions, name ?? ""), `Nothing defines ${name}`);
  const accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
  const { body, headers } = await ask(served, "/openapi/v2", { headers: { Accept: accept } });
  assert.deepEqual(
    [headers["content-type"], body.slice(0, 5)],
    ["application/com.github.proto-openapi.spec.v2.v1.0+protobuf", "\n\x032.0"],
  );
});

test("serve() hands its extensions their requests, and answers what they throw", async () => {
  const extension = {
    prefix: "/peapod.dev/v1/",
    handle: ({ path, user, response }: Exchange) => {
      if (path === "/peapod.dev/v1/broken") throw new Error("no");
      response.end(`mine, ${user.name} of ${user.groups.join()}`);
    },
  };
  await using served = await serving({ extensions: [extension] });
  assert.equal((await ask(served, "/peapod.dev/v1/images")).body, "mine, kubernetes-admin of system:masters,system:authenticated");
  const broken = await ask(served, "/peapod.dev/v1/broken");
  assert.deepEqual([broken.code, (JSON.parse(broken.body) as { reason: string }).reason], [500, "InternalError"]);
});

test("serve() stops within a second, whatever is open", async () => {
  const node = new StubNodeServer();
  await using served = await serving({ nodeServer: node });
  served.ground.api.create(pods, "default", minimalPod("a", { nodeName: "n" }), {});
  const idle = connect(served.port, "127.0.0.1");
  await once(idle, "connect");
  idle.on("error", () => {}); // ended by the server
  const open1 = await open(served, "/api/v1/pods?watch=1");
  const open2 = await open(served, "/api/v1/namespaces/default/pods/a/log?follow=true");
  open1.on("error", () => {}).resume(); // as above
  open2.on("error", () => {}).resume(); // as above
  const socket = exec(served, "/api/v1/namespaces/default/pods/a/exec?command=sleep&stdout=true", "v5.channel.k8s.io");
  await once(socket, "open");
  const startedMs = performance.now();
  await served.stop();
  assert.ok(performance.now() - startedMs < 1_000, `It took ${performance.now() - startedMs} ms`);
  await eventually(() => node.running === 0, { withinMs: 1_000 });
});

function exec(served: Serving, path: string, protocol: string): WebSocket {
  const { ca, adminCert, adminKey } = served.pki;
  const socket = new WebSocket(`wss://127.0.0.1:${served.port}${path}`, [protocol], { ca, cert: adminCert, key: adminKey });
  socket.on("error", () => {}); // a refusal is read from the answer
  return socket;
}

test("exec speaks v4 and v5, resizes, answers pings, and holds a process up that writes faster than the client reads", async () => {
  const node = new StubNodeServer();
  await using served = await serving({ nodeServer: node });
  served.ground.api.create(pods, "default", minimalPod("a", { nodeName: "n" }), {});
  const path = "/api/v1/namespaces/default/pods/a/exec";
  const cat = exec(served, `${path}?command=cat&stdin=true&stdout=true`, "v5.channel.k8s.io");
  const seen: string[] = [];
  cat.on("message", (data: Buffer) => seen.push(data.toString("latin1")));
  await once(cat, "open");
  assert.equal(cat.protocol, "v5.channel.k8s.io");
  cat.ping();
  await once(cat, "pong");
  cat.send(Buffer.from('\x04{"Width":80,"Height":25}', "latin1"));
  cat.send(Buffer.from('\x04{"height":31,"width":97}', "latin1")); // as the JavaScript client writes it
  cat.send(Buffer.from('\x04{"Width":-1}', "latin1"));
  cat.send(Buffer.from("\x04not a size", "latin1"));
  cat.send(Buffer.from("\x00hi", "latin1"));
  cat.send(Buffer.from("\xff\x00", "latin1"));
  await once(cat, "close");
  assert.deepEqual(seen, ["\x01hi", `\x03${JSON.stringify({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" })}`]);
  assert.deepEqual(node.resized, [
    { columns: 80, rows: 25 },
    { columns: 97, rows: 31 },
  ]);

  const v4 = exec(served, `${path}?command=exit&command=3&stderr=true`, "v4.channel.k8s.io");
  const answers: string[] = [];
  v4.on("message", (data: Buffer) => answers.push(data.toString("latin1")));
  await once(v4, "close");
  assert.equal(answers[0], "\x02bye\n");
  assert.match(answers[1] ?? "", /"reason":"NonZeroExitCode".*"causes":\[\{"reason":"ExitCode","message":"3"\}\]/);

  const flood = exec(served, `${path}?command=flood&command=8000000&stdout=true`, "v5.channel.k8s.io");
  await once(flood, "open");
  flood.pause();
  let bytes = 0;
  flood.on("message", (data: Buffer) => (bytes += data[0] === 1 ? data.length - 1 : 0));
  flood.resume();
  await once(flood, "close");
  assert.equal(bytes, 8_000_000);
  await eventually(() => node.running === 0, { withinMs: 1_000 });

  const refused = exec(served, `${path}?command=ls`, "other.protocol");
  const [, response] = (await once(refused, "unexpected-response")) as [unknown, IncomingMessage];
  assert.equal(response.statusCode, 400);
  refused.terminate();
});

test("the time from a create in-process to its watch event is a few milliseconds at most", async () => {
  await using served = await serving();
  const { client } = served.ground;
  const stop = new AbortController();
  const { resourceVersion } = await client.list(pods, {}, stop.signal);
  const events = client.watch(pods, { resourceVersion }, stop.signal)[Symbol.asyncIterator]();
  const took: number[] = [];
  for (let round = 0; round < 100; round++) {
    const startedMs = performance.now();
    const next = events.next();
    await client.create(pods, minimalPod(`p${round}`), {}, stop.signal);
    await next;
    took.push(performance.now() - startedMs);
  }
  took.sort((left, right) => left - right);
  assert.ok((took[50] ?? Infinity) < 5, `The median is ${took[50]} ms`);
  stop.abort();
});
