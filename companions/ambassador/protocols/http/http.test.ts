import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, get, type IncomingMessage, request, type RequestOptions } from "node:http";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { eventually, Scope } from "@peapod/kit";
import { AmbassadorError, type ErrorCode } from "../../errors.ts";
import { makeAuthority } from "../../../frame/credentials/certificates.fixture.ts";
import { exchangeBytes, httpListener, httpUpstream, rawUpstream, scriptedUpstream, serveHttp } from "./http.fixture.ts";

const head = "GET / HTTP/1.1\r\nHost: a\r\n";

async function ask(port: number, options: RequestOptions = {}, body?: Buffer): Promise<{ answer: IncomingMessage; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request({ host: "127.0.0.1", port, agent: false, ...options }, resolve)
    .on("error", reject)
    .end(body);
  const answer = await promise;
  answer.setEncoding("latin1");
  let text = "";
  for await (const chunk of answer as AsyncIterable<string>) text += chunk;
  return { answer, text };
}

test("httpProtocol passes fields in their case, order and number, without those of the connection", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, (incoming, response) => {
    response.sendDate = false;
    response.writeHead(200, "Fine", ["X-One", "1", "x-one", "2", "Set-Cookie", "a", "Set-Cookie", "b", "Proxy-Authenticate", "x"]);
    response.end(JSON.stringify({ url: incoming.url, fields: incoming.rawHeaders }));
  });
  const { port } = await serveHttp(scope, httpListener(upstream.port));
  const sent =
    "GET http://other:1/p?q=1 HTTP/1.1\r\nhOST: other:1\r\nX-B: 1\r\nx-b: 2\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n" +
    "Keep-Alive: 5\r\nProxy-Authorization: p\r\nTE: trailers, gzip\r\nX-A: z\r\n\r\n";
  const got = await exchangeBytes(port, sent);
  const [answerHead = "", body = ""] = got.split("\r\n\r\n");
  assert.equal(
    answerHead,
    "HTTP/1.1 200 Fine\r\nX-One: 1\r\nx-one: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: close\r\nTransfer-Encoding: chunked",
  );
  const json = body.slice(body.indexOf("{"), body.lastIndexOf("}") + 1);
  assert.deepEqual(JSON.parse(json), {
    url: "/p?q=1",
    fields: ["hOST", `localhost:${upstream.port}`, "X-B", "1", "x-b", "2", "X-A", "z", "TE", "trailers", "Connection", "keep-alive, TE"],
  });
});

test("httpProtocol shares one upstream connection among clients and requests, and releases every lease", async () => {
  await using scope = new Scope();
  let connections = 0;
  const upstream = await httpUpstream(scope, (incoming, response) => incoming.resume().on("end", () => response.end("x")));
  upstream.on("connection", () => connections++);
  const serving = await serveHttp(scope, httpListener(upstream.port));
  const agent = new Agent({ keepAlive: true });
  scope.defer(() => agent.destroy());
  for (let index = 0; index < 50; index++) {
    const { text } = await ask(
      serving.port,
      index % 2 === 0 ? { agent } : { method: "POST" },
      index % 2 === 0 ? undefined : Buffer.from("body"),
    );
    assert.equal(text, "x");
  }
  assert.equal(connections, 1);
  await eventually(() => serving.leases() === 0 && serving.open() === 1, { withinMs: 2_000 });
  assert.equal(serving.facts.length, 50);
});

test("httpProtocol streams bodies and trailers both ways, with a length and in chunks", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, (incoming, response) => {
    response.writeHead(200, { Trailer: "X-Sum" });
    incoming.pipe(response, { end: false });
    incoming.on("end", () => {
      response.addTrailers({ "X-Sum": incoming.trailers["x-in"] ?? "none" });
      response.end();
    });
  });
  const { port } = await serveHttp(scope, httpListener(upstream.port));
  const body = Buffer.alloc(3_000_000, "abcdefg");
  const { answer, text } = await ask(port, { method: "PUT", headers: { "Content-Length": body.length } }, body);
  assert.equal(text.length, body.length);
  assert.equal(answer.trailers["x-sum"], "none");
  const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-In\r\n\r\n3\r\nabc\r\n0\r\nX-In: 7\r\n\r\n";
  const got = await exchangeBytes(port, chunked, "X-Sum");
  assert.match(got, /Trailer: X-Sum\r\n[^]*3\r\nabc\r\n0\r\nX-Sum: 7/);
});

test("httpProtocol gives answers without a body as they are, and the next request its own", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, (incoming, response) => {
    response.sendDate = false;
    if (incoming.url === "/204") response.writeHead(204).end();
    else if (incoming.url === "/304") response.writeHead(304, { ETag: "x", "Content-Length": "5" }).end();
    else response.writeHead(200, { "Content-Length": "5" }).end("hello");
  });
  const { port } = await serveHttp(scope, httpListener(upstream.port));
  const line = (method: string, path: string, more = ""): string => `${method} ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
  const all = line("HEAD", "/") + line("GET", "/204") + line("GET", "/304") + line("GET", "/", "Connection: close\r\n");
  const keep = "Connection: keep-alive\r\n\r\n";
  assert.equal(
    await exchangeBytes(port, all),
    `HTTP/1.1 200 OK\r\nContent-Length: 5\r\n${keep}HTTP/1.1 204 No Content\r\n${keep}` +
      `HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 5\r\n${keep}` +
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
  );
});

test("httpProtocol passes 100 and 103 on, and what the upstream says instead", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, (incoming, response) => {
    response.writeEarlyHints({ link: "</a.css>; rel=preload" });
    incoming.resume().on("end", () => response.end("done"));
  });
  upstream.on("checkContinue", (incoming, response) => {
    if (incoming.url === "/no") return response.writeHead(413, { "Content-Length": "0" }).end();
    response.writeContinue();
    return incoming.resume().on("end", () => response.end("done"));
  });
  const { port } = await serveHttp(scope, httpListener(upstream.port));
  assert.match(
    await exchangeBytes(port, `${head}Connection: close\r\n\r\n`),
    /^HTTP\/1.1 103 Early Hints\r\nLink: <\/a.css>; rel=preload\r\n\r\nHTTP\/1.1 200 OK/,
  );
  const expecting = (path: string): string => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n`;
  assert.equal(await exchangeBytes(port, expecting("/"), "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  const refused = await exchangeBytes(port, expecting("/no"));
  assert.match(refused, /^HTTP\/1.1 413 Payload Too Large\r\n[^]*Connection: close\r\n/);
});

test("httpProtocol asks again on a fresh connection when a kept one is gone, and only what may be asked twice", async () => {
  await using scope = new Scope();
  let count = 0;
  const port = await rawUpstream(scope, (socket) => {
    const nth = ++count;
    let asked = 0;
    socket.on("data", () => {
      if (nth === 1 && ++asked === 2) socket.resetAndDestroy();
      else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${nth}`);
    });
  });
  const serving = await serveHttp(scope, httpListener(port));
  assert.equal((await ask(serving.port)).text, "1");
  assert.equal((await ask(serving.port)).text, "2");
  assert.equal(serving.connects(), 3);
  count = 0;
  const other = await serveHttp(scope, httpListener(port));
  assert.equal((await ask(other.port)).text, "1");
  const { answer, text } = await ask(other.port, { method: "POST" });
  assert.equal(answer.statusCode, 502);
  assert.equal(JSON.parse(text).code, "UPSTREAM_PROTOCOL");
});

test("httpProtocol never lets an answer that breaks off look whole", async () => {
  await using scope = new Scope();
  const whole = [
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
  ];
  for (const answer of whole) {
    const port = await scriptedUpstream(scope, answer, { afterwards: "end" });
    const serving = await serveHttp(scope, httpListener(port));
    await assert.rejects(ask(serving.port), { code: "ECONNRESET" });
    await eventually(() => serving.leases() === 0 && serving.open() === 0, { withinMs: 2_000 });
    assert.equal(serving.facts[0]?.code, "UPSTREAM_PROTOCOL");
  }
});

test("httpProtocol ends the upstream's request when its client goes", async () => {
  await using scope = new Scope();
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  const { promise: asked, resolve: isAsked } = Promise.withResolvers<void>();
  const upstream = await httpUpstream(scope, (incoming) => {
    incoming.socket.once("close", resolve);
    isAsked();
  });
  const serving = await serveHttp(scope, httpListener(upstream.port));
  const client = get({ host: "127.0.0.1", port: serving.port, agent: false }).on("error", () => {});
  await asked;
  client.destroy();
  await gone;
  await eventually(() => serving.facts[0]?.status === 499, { withinMs: 2_000 });
  assert.equal(serving.leases(), 0);
});

test("httpProtocol holds an upstream back that is faster than its client", async () => {
  await using scope = new Scope();
  let written = 0;
  const upstream = await httpUpstream(scope, (_incoming, response) => {
    const chunk = Buffer.alloc(1 << 20);
    const more = (): void => {
      while (!response.destroyed && written < 1 << 30) {
        written += chunk.length;
        if (!response.write(chunk)) return void response.once("drain", more);
      }
    };
    more();
  });
  const serving = await serveHttp(scope, httpListener(upstream.port, { idleMs: 200 }));
  const client = get({ host: "127.0.0.1", port: serving.port, agent: false }).on("response", (answer) =>
    answer.on("error", () => {}).pause(),
  );
  client.on("error", () => {});
  await eventually(() => serving.facts.length === 1, { withinMs: 5_000 }); // the client reads nothing: it is ended when idle
  assert.ok(written < 64 << 20, `${written} bytes`);
  client.destroy();
});

test("httpProtocol drains: what runs is answered and closed, what is not used for a while is closed", async () => {
  await using scope = new Scope();
  const { promise: asked, resolve: isAsked } = Promise.withResolvers<void>();
  let answer = (): void => {};
  const upstream = await httpUpstream(scope, (incoming, response) => {
    if (incoming.url !== "/slow") return void response.end("quick");
    answer = () => void response.end("slow");
    isAsked();
  });
  const serving = await serveHttp(scope, httpListener(upstream.port));
  const waiting = exchangeBytes(serving.port, `${head}\r\n`);
  await eventually(() => serving.facts.length === 1, { withinMs: 2_000 });
  const running = exchangeBytes(serving.port, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  await asked;
  serving.draining.abort();
  assert.match(await waiting, /^HTTP\/1.1 200 OK\r\n[^]*keep-alive[^]*quick$/);
  await eventually(() => serving.open() === 1, { withinMs: 5_000 });
  answer();
  assert.match(await running, /^HTTP\/1.1 200 OK\r\n[^]*Connection: close\r\n[^]*slow$/);
  await eventually(() => serving.open() === 0 && serving.leases() === 0, { withinMs: 2_000 });
});

test("httpProtocol drains: a client that has connected but not asked yet, or half, is answered, until the end has come", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, (_, response) => response.end("x"));
  const serving = await serveHttp(scope, httpListener(upstream.port));
  const clients = ["", "GET / HT"].map((begun) => {
    const socket = connect(serving.port, "127.0.0.1");
    socket.write(begun);
    return { socket, rest: `${head}\r\n`.slice(begun.length) };
  });
  const used = connect(serving.port, "127.0.0.1");
  used.write(`${head}\r\n`);
  await once(used, "data");
  used.write("GET / HT"); // of its second request
  const unused = connect(serving.port, "127.0.0.1");
  await eventually(() => serving.open() === 4, { withinMs: 2_000 });
  await exchangeBytes(serving.port, `${head}\r\n`, "x"); // what was sent before has come
  serving.draining.abort();
  await eventually(() => serving.open() === 4, { withinMs: 2_000 });
  for (const { socket, rest } of [...clients, { socket: used, rest: `${head}\r\n`.slice("GET / HT".length) }]) {
    socket.write(rest);
    const [answer] = (await once(socket, "data")) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1.1 200 OK\r\n[^]*Connection: close\r\n/);
  }
  await eventually(() => serving.open() === 1, { withinMs: 2_000 });
  serving.end.abort(new Error("over"));
  await once(unused.resume(), "close");
});

test("httpProtocol drains: a client that goes on asking on its connection loses no request, and is told that this was the last", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, (_, response) => response.end("x"));
  const serving = await serveHttp(scope, httpListener(upstream.port));
  const client = connect(serving.port, "127.0.0.1");
  const answers = [];
  for (let index = 0; index < 2; index += 1) {
    client.write(`${head}\r\n`);
    answers.push(String(await once(client, "data")));
    serving.draining.abort();
    await exchangeBytes(serving.port, `${head}Connection: close\r\n\r\n`); // so that the drain has been seen everywhere
  }
  assert.match(answers[0] ?? "", /^HTTP\/1.1 200 OK\r\n[^]*keep-alive/);
  assert.match(answers[1] ?? "", /^HTTP\/1.1 200 OK\r\n[^]*Connection: close/);
});

test("httpProtocol tells why there is no upstream, and when to come again", async () => {
  await using scope = new Scope();
  const failing = (code: ErrorCode) => async (): Promise<never> => {
    await Promise.resolve();
    throw new AmbassadorError(code, "Not now");
  };
  const expected = { NO_ENDPOINT: 503, LIMIT_REACHED: 503, UPSTREAM_TIMEOUT: 504, UPSTREAM_UNREACHABLE: 502, RATE_LIMITED: 429 } as const;
  for (const [code, status] of Object.entries(expected) as [keyof typeof expected, number][]) {
    const serving = await serveHttp(scope, httpListener(1), { session: { connect: failing(code) } });
    const got = await exchangeBytes(serving.port, `${head}\r\n`, "}\n");
    assert.match(got, new RegExp(`^HTTP/1.1 ${status} `));
    assert.equal(got.includes("Retry-After: 1\r\n"), code === "LIMIT_REACHED" || code === "RATE_LIMITED");
    assert.deepEqual(JSON.parse(got.slice(got.indexOf("\r\n\r\n"))), { type: "about:blank", status, code, detail: "Not now" });
  }
});

test("httpProtocol passes an answer that comes before the request's end, and the connection goes on or ends", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, (incoming, response) => {
    response.writeHead(413, { "Content-Length": "3" }).end("big");
    incoming.resume();
  });
  const serving = await serveHttp(scope, httpListener(upstream.port));
  const socket = connect(serving.port, "127.0.0.1");
  scope.defer(() => void socket.destroy());
  let got = "";
  socket.on("data", (chunk) => (got += chunk.toString()));
  socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
  await eventually(() => got.endsWith("big"), { withinMs: 2_000 });
  got = "";
  socket.write(`def${head}\r\n`);
  await eventually(() => got.endsWith("big"), { withinMs: 2_000 });
  assert.match(got, /^HTTP\/1.1 413 /);
});

test("httpProtocol leaks nothing over thousands of requests, nor does it keep more connections than there are clients", async () => {
  await using scope = new Scope();
  let connections = 0;
  const upstream = await httpUpstream(scope, (incoming, response) => incoming.resume().on("end", () => response.end("x")));
  upstream.on("connection", (socket) => {
    connections++;
    socket.once("close", () => connections--);
  });
  const serving = await serveHttp(scope, httpListener(upstream.port));
  const many = `${head}\r\n`.repeat(99) + `${head}Connection: close\r\n\r\n`;
  for (let round = 0; round < 5; round++) await Promise.all(Array.from({ length: 8 }, async () => await exchangeBytes(serving.port, many)));
  assert.equal(serving.facts.length, 4_000);
  assert.ok(serving.facts.every(({ status }) => status === 200));
  assert.ok(connections <= 8, `${connections}`);
  await eventually(() => serving.open() === 0 && serving.leases() === 0, { withinMs: 2_000 });
});

test("httpProtocol says on whose behalf a connection is, and lends it to nobody else", async () => {
  await using scope = new Scope();
  const heads: string[] = [];
  let open = 0;
  const port = await rawUpstream(scope, (socket) => {
    open++;
    socket.once("close", () => open--);
    socket.on("data", (chunk) => {
      heads.push(chunk.toString().split("\r\n", 1)[0] ?? "");
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    });
  });
  const serving = await serveHttp(scope, httpListener(port, { upstream: { sendProxyProtocol: "v1" } }));
  for (let count = 0; count < 2; count++) await exchangeBytes(serving.port, `${head}\r\n${head}Connection: close\r\n\r\n`);
  const firsts = heads.filter((line) => line.startsWith("PROXY"));
  assert.equal(heads.length, 4);
  assert.equal(new Set(firsts).size, 2);
  for (const line of firsts) assert.match(line, /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+$/);
  await eventually(() => open === 0, { withinMs: 2_000 });
});

test("httpProtocol serves a socket with what came after a PROXY header put back, also within TLS", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, (incoming, response) => incoming.pipe(response));
  const authority = await makeAuthority(scope);
  const files = await authority.issue();
  for (const serverTls of [undefined, { certFile: files.certFile, keyFile: files.keyFile, clientCaFile: undefined }]) {
    const serving = await serveHttp(scope, httpListener(upstream.port, { serverTls }), { readsAhead: true });
    const plain = connect(serving.port, "127.0.0.1");
    scope.defer(() => void plain.destroy());
    const client =
      serverTls === undefined ? plain : connectTls({ socket: plain, ca: readFileSync(authority.caFile), servername: "localhost" });
    let got = "";
    client.on("data", (chunk: Buffer) => (got += chunk.toString()));
    client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    await eventually(() => got.endsWith("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), { withinMs: 2_000 });
    client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\ndef");
    await eventually(() => got.endsWith("\r\n\r\n3\r\ndef\r\n0\r\n\r\n"), { withinMs: 2_000 });
  }
});
