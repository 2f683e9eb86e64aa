import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { configMaps, namespaces, type Pod, pods } from "@peapod/api";
import { WebSocketServer } from "ws";
import { ApiError } from "./client.ts";
import { exitCodeOf } from "./exec-stream.ts";
import { connectHttp, type HttpClient, warningTexts } from "./http.ts";

type Answer = (request: IncomingMessage & { body: string }, response: ServerResponse) => void;

/** A client of a server of our own, which answers as told. */
async function connected(
  t: TestContext,
  answer: Answer,
  upgrade?: WebSocketServer,
): Promise<{ client: HttpClient; close: () => void; kubeconfig: string }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request
      .on("data", (chunk: Buffer) => chunks.push(chunk))
      .on("end", () => answer(Object.assign(request, { body: Buffer.concat(chunks).toString() }), response));
  });
  if (upgrade !== undefined)
    server.on("upgrade", (request, socket, head) =>
      upgrade.handleUpgrade(request, socket, head, (client) => upgrade.emit("connection", client, request)),
    );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const folder = await mkdtemp(join(tmpdir(), "peapod-http-"));
  const kubeconfig = join(folder, "config");
  const { port } = server.address() as AddressInfo;
  await writeFile(kubeconfig, kubeconfigFor(port));
  const client = await connectHttp({ kubeconfig });
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  t.after(async () => {
    client[Symbol.dispose]();
    close();
    await rm(folder, { recursive: true });
  });
  return { client, close, kubeconfig };
}

function kubeconfigFor(port: number): string {
  return JSON.stringify({
    "current-context": "x",
    contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
    clusters: [{ name: "x", cluster: { server: `http://127.0.0.1:${port}` } }],
    users: [{ name: "x", user: { token: "t" } }],
  });
}

const json = (response: ServerResponse, value: unknown, code = 200, headers = {}): void => {
  response.writeHead(code, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(value));
};
const pod = (name: string, resourceVersion = "1"): Pod =>
  ({ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "ns", resourceVersion } }) as Pod;

test("HttpClient asks the API's paths, with what was wanted", async (t) => {
  const asked: string[] = [];
  const { client } = await connected(t, (request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers["content-type"] ?? ""} ${request.body}`.trim());
    json(response, pod("a"), 200, { warning: '299 - "be \\"careful\\"", 299 - "twice"' });
  });
  const warnings: string[] = [];
  const onWarning = (text: string): void => void warnings.push(text);
  await client.get(pods, { namespace: "ns", name: "a" }, t.signal);
  await client.get(namespaces, { name: "ns" }, t.signal);
  await client.create(pods, pod("a"), { fieldValidation: "Strict", fieldManager: "m", dryRun: true, onWarning }, t.signal);
  await client.patch(pods, { namespace: "ns", name: "a" }, { type: "strategic", body: { x: 1 } }, { subresource: "status" }, t.signal);
  await client.delete(pods, { namespace: "ns", name: "a" }, { gracePeriodSeconds: 0, uid: "u" }, t.signal);
  assert.deepEqual(asked, [
    "GET /api/v1/namespaces/ns/pods/a",
    "GET /api/v1/namespaces/ns",
    `POST /api/v1/namespaces/ns/pods?fieldManager=m&fieldValidation=Strict&dryRun=All application/json ${JSON.stringify(pod("a"))}`,
    'PATCH /api/v1/namespaces/ns/pods/a/status application/strategic-merge-patch+json {"x":1}',
    'DELETE /api/v1/namespaces/ns/pods/a application/json {"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background","gracePeriodSeconds":0,"preconditions":{"uid":"u"}}',
  ]);
  assert.deepEqual(warnings, ['be "careful"', "twice"]);
});

test("HttpClient.list() takes every chunk, and gives items their kind", async (t) => {
  const { client } = await connected(t, (request, response) => {
    const isFirst = !(request.url ?? "").includes("continue");
    json(response, {
      kind: "PodList",
      metadata: { resourceVersion: "7", ...(isFirst ? { continue: "more" } : {}) },
      items: [{ metadata: { name: isFirst ? "a" : "b" } }],
    });
  });
  const { items, resourceVersion } = await client.list(pods, { namespace: "ns", labelSelector: "a=b" }, t.signal);
  assert.deepEqual([items.map(({ kind, metadata }) => `${kind} ${metadata.name}`), resourceVersion], [["Pod a", "Pod b"], "7"]);
});

test("HttpClient turns every failure into an ApiError", async (t) => {
  const { client, close } = await connected(t, (request, response) => {
    if (request.url?.includes("page")) response.writeHead(502).end("<html>bad gateway");
    else json(response, { kind: "Status", reason: "NotFound", message: 'pods "a" not found', code: 404 }, 404);
  });
  const code = async (work: Promise<unknown>): Promise<string> =>
    await work.then(
      () => "none",
      (error: unknown) => (error instanceof ApiError ? `${error.code} ${error.message}` : String(error)),
    );
  assert.equal(await code(client.get(pods, { namespace: "ns", name: "a" }, t.signal)), '404 pods "a" not found');
  assert.equal(await client.delete(pods, { namespace: "ns", name: "a" }, {}, t.signal), undefined);
  assert.equal(
    await code(client.get(configMaps, { namespace: "ns", name: "page" }, t.signal)),
    "502 The server answered 502: <html>bad gateway",
  );
  close();
  assert.match(await code(client.get(pods, { namespace: "ns", name: "a" }, t.signal)), /^503 Cannot reach http:\/\/127\.0\.0\.1:\d+: /);
});

test("HttpClient.watch() goes on where the last connection ended, keeps bookmarks inside, and ends with 410", async (t) => {
  const asked: (string | null)[] = [];
  const { client } = await connected(t, (request, response) => {
    asked.push(new URL(request.url ?? "", "http://x").searchParams.get("resourceVersion"));
    const events = [
      [
        { type: "ADDED", object: pod("a", "2") },
        { type: "BOOKMARK", object: pod("", "5") },
      ],
      [{ type: "MODIFIED", object: pod("a", "6") }],
      [{ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired" } }],
    ][asked.length - 1];
    response.end(events?.map((event) => `${JSON.stringify(event)}\n`).join(""));
  });
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { type, object } of client.watch(pods, { namespace: "ns", resourceVersion: "1" }, t.signal))
      seen.push(`${type} ${object.metadata.resourceVersion}`);
  })();
  await assert.rejects(watching, (error) => error instanceof ApiError && error.code === 410);
  assert.deepEqual(
    [seen, asked],
    [
      ["ADDED 2", "MODIFIED 6"],
      ["1", "5", "6"],
    ],
  );
});

test("HttpClient.logs() gives the bytes as they come, and stops when told to", async (t) => {
  const { client } = await connected(t, (_request, response) => void response.write("one\ntwo\n"));
  const stop = new AbortController();
  const reading = (async () => {
    for await (const chunk of client.logs({ namespace: "ns", name: "a" }, { follow: true }, stop.signal)) {
      assert.equal(Buffer.from(chunk).toString(), "one\ntwo\n");
      stop.abort(new Error("enough"));
    }
  })();
  await assert.rejects(reading, /enough/);
});

test("HttpClient finds a server that came back elsewhere by its kubeconfig", async (t) => {
  const first = await connected(t, (_request, response) => json(response, { served: "first" }));
  const second = await connected(t, (_request, response) => json(response, { served: "second" }));
  await writeFile(first.kubeconfig, kubeconfigFor(Number(second.client.server.port)));
  assert.deepEqual(await first.client.request({ method: "GET", path: "/x" }, t.signal), { served: "first" });
  first.close();
  assert.deepEqual(await first.client.request({ method: "GET", path: "/x" }, t.signal), { served: "second" });
});

test("HttpClient.exec() speaks v5.channel.k8s.io", async (t) => {
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => (offered.has("v5.channel.k8s.io") ? "v5.channel.k8s.io" : false),
  });
  let received = "";
  sockets.on("connection", (socket) => {
    socket.on("message", (data: Buffer) => {
      received += `${data[0]}:${data[0] === 255 ? data[1] : data.subarray(1).toString()} `;
      if (data[0] !== 255) return;
      socket.send(Buffer.from("\u0001out"));
      socket.send(Buffer.from("\u0002err"));
      const status = { status: "Failure", reason: "NonZeroExitCode", details: { causes: [{ reason: "ExitCode", message: "7" }] } };
      socket.send(Buffer.from(`\u0003${JSON.stringify(status)}`));
      socket.close();
    });
  });
  const { client } = await connected(t, (_request, response) => void response.end(), sockets);
  const session = await client.exec(
    { namespace: "ns", name: "a" },
    { command: ["sh", "-c", "x y"], container: "c", stdin: true, tty: false },
    t.signal,
  );
  await session.write(Buffer.from("in"));
  session.resize({ columns: 80, rows: 24 });
  session.closeStdin();
  const text = async (stream: AsyncIterable<Uint8Array>): Promise<string> => Buffer.concat(await Array.fromAsync(stream)).toString();
  assert.deepEqual(await Promise.all([text(session.stdout), text(session.stderr), session.exitCode]), ["out", "err", 7]);
  assert.equal(received, '0:in 4:{"Width":80,"Height":24} 255:0 ');
});

test("HttpClient.exec() tells how a process ended whose output nobody reads to its end", async (t) => {
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "v5.channel.k8s.io" });
  sockets.on("connection", (socket) => {
    for (let index = 0; index < 20; index++) socket.send(Buffer.alloc(64 * 1024, 1));
    socket.send(Buffer.from(`\u0003${JSON.stringify({ status: "Success" })}`));
    socket.close();
  });
  const { client } = await connected(t, (_request, response) => void response.end(), sockets);
  const session = await client.exec({ namespace: "ns", name: "a" }, { command: ["yes"], stdin: false, tty: false }, t.signal);
  session.stdout.destroy();
  const overdue = AbortSignal.timeout(2_000);
  const late = new Promise((_resolve, reject) => overdue.addEventListener("abort", () => reject(new Error("No exit code came"))));
  assert.equal(await Promise.race([session.exitCode, late]), 0);
});

test("HttpClient.exec() gives the server's reason where it refuses", async (t) => {
  const sockets = new WebSocketServer({ noServer: true });
  const { client } = await connected(t, (_request, response) =>
    json(response, { kind: "Status", code: 400, message: "container not running" }, 400),
  );
  sockets.close();
  await assert.rejects(
    client.exec({ namespace: "ns", name: "a" }, { command: ["x"], stdin: false, tty: false }, t.signal),
    (error) => error instanceof ApiError && /container not running/.test(error.message),
  );
});

test("exitCodeOf() reads the Status that ends an exec", () => {
  const status = (more: object) => ({ apiVersion: "v1", kind: "Status", metadata: {}, ...more }) as const;
  assert.equal(exitCodeOf(status({ status: "Success" })), 0);
  assert.equal(
    exitCodeOf(status({ status: "Failure", reason: "NonZeroExitCode", details: { causes: [{ reason: "ExitCode", message: "3" }] } })),
    3,
  );
  assert.throws(
    () => exitCodeOf(status({ status: "Failure", reason: "InternalError", message: "no such executable" })),
    /no such executable/,
  );
});

test("warningTexts() reads none, one and several", () => {
  assert.deepEqual(warningTexts(undefined), []);
  assert.deepEqual(warningTexts('299 - "a, \\"b\\"", 299 kube "c"'), ['a, "b"', "c"]);
});
