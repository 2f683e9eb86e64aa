import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { eventually, Scope } from "@peapod/kit";
import { exchangeBytes, httpListener, httpUpstream, rawUpstream, scriptedUpstream, serveHttp } from "./http.fixture.ts";

const head = "GET / HTTP/1.1\r\nHost: a\r\n";
const post = "POST / HTTP/1.1\r\nHost: a\r\n";

const smuggled: readonly (readonly [string, string, number])[] = [
  ["a length and chunks", `${post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x`, 400],
  ["chunks and a length", `${post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`, 400],
  ["two lengths", `${post}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, 400],
  ["a list of lengths", `${post}Content-Length: 1, 1\r\n\r\na`, 400],
  ["a length with a sign", `${post}Content-Length: +1\r\n\r\na`, 400],
  ["another coding", `${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501],
  ["chunked twice", `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  ["chunked not last", `${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`, 400],
  ["a folded coding", `${post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`, 400],
  ["a space before the colon", `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`, 400],
  ["bare line feeds", "GET / HTTP/1.1\nHost: a\n\n", 400],
  ["a bare return", `${head}X: a\rY: b\r\n\r\n`, 400],
  ["NUL in a value", `${head}X: a\0b\r\n\r\n`, 400],
  ["chunks in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
  ["two hosts", `${head}Host: b\r\n\r\n`, 400],
  ["no host", "GET / HTTP/1.1\r\n\r\n", 400],
  ["a host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400],
  ["a chunk size that is none", `${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 400],
  ["CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405],
  ["TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405],
  ["an expectation nobody knows", `${head}Expect: more\r\n\r\n`, 417],
  ["too long a head", `${head}X: ${"x".repeat(5_000_000)}\r\n\r\n`, 431],
  ["too many fields", `${head}${"X: 1\r\n".repeat(300)}\r\n`, 431],
  ["another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
];

for (const [does, bytes, status] of smuggled) {
  test(`httpProtocol refuses ${does} with ${status}, and nothing of it goes upstream whole`, async () => {
    await using scope = new Scope();
    let answered = 0;
    const upstream = await httpUpstream(scope, (incoming, response) => incoming.resume().on("end", () => response.end(`${++answered}`)));
    const serving = await serveHttp(scope, httpListener(upstream.port));
    const got = await exchangeBytes(serving.port, bytes, "}\n");
    if (status !== 431 || got !== "") assert.match(got, new RegExp(`^HTTP/1.1 ${status} [^]*"code":"CLIENT_PROTOCOL"`)); // a long head may meet a reset
    assert.equal(got.split("HTTP/1.1 ").length, got === "" ? 1 : 2);
    await eventually(() => serving.open() === 0 && serving.leases() === 0, { withinMs: 2_000 });
    assert.equal(answered, 0);
    assert.equal(serving.facts[0]?.code, "CLIENT_PROTOCOL");
  });
}

test("httpProtocol tells the log no name and password of a target", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, (_incoming, response) => response.end());
  const serving = await serveHttp(scope, httpListener(upstream.port));
  assert.match(await exchangeBytes(serving.port, "GET http://user:secret@a/path?query HTTP/1.1\r\nHost: a\r\n\r\n", "}\n"), / 400 /);
  assert.deepEqual(
    serving.facts.map(({ path }) => path),
    ["http://a/path"],
  );
});

test("httpProtocol lets no Connection field hide what frames or routes, nor what it puts in", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, (incoming, response) => {
    let body = "";
    incoming
      .on("data", (chunk) => (body += String(chunk)))
      .on("end", () => response.end([body, incoming.headers["x-key"], incoming.headers.host].join("|")));
  });
  const headers = [{ name: "X-Key", value: { kind: "value", value: "ours" } }] as const;
  const { port } = await serveHttp(scope, httpListener(upstream.port, { headers, hostHeader: "preserve" }));
  const sent = `${post}X-Key: theirs\r\nContent-Length: 3\r\nConnection: close, content-length, host, x-key\r\n\r\nabc`;
  assert.match(await exchangeBytes(port, sent), /\r\nabc\|ours\|a$/);
});

const badAnswers: readonly (readonly [string, string])[] = [
  ["a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"],
  ["another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
  ["no HTTP", "SSH-2.0-OpenSSH\r\n\r\n"],
  ["endless answers before the answer", "HTTP/1.1 100 Continue\r\n\r\n".repeat(100)],
  ["a protocol nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"],
  ["5 MB of fields", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(5_000_000)}\r\n\r\n`],
  ["nothing", ""],
];

for (const [does, bytes] of badAnswers) {
  test(`httpProtocol answers 502 where the upstream says ${does}`, async () => {
    await using scope = new Scope();
    const port = await scriptedUpstream(scope, bytes, bytes === "" ? { afterwards: "end" } : {});
    const serving = await serveHttp(scope, httpListener(port));
    const got = await exchangeBytes(serving.port, `${head}\r\n`, "}\n");
    assert.match(got, /^HTTP\/1.1 502 [^]*"code":"UPSTREAM_PROTOCOL"/);
    assert.equal(serving.leases(), 0);
  });
}

test("httpProtocol closes an upstream connection on which more comes than the answer", async () => {
  await using scope = new Scope();
  let connections = 0;
  const port = await rawUpstream(scope, (socket) => {
    connections++;
    socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
  });
  const serving = await serveHttp(scope, httpListener(port));
  for (let count = 1; count <= 3; count++) {
    const got = await exchangeBytes(serving.port, `${head}Connection: close\r\n\r\n`);
    assert.ok(!got.includes("evil"), got);
  }
  assert.equal(connections, 3);
});

test("httpProtocol serves requests cut at every byte", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, (incoming, response) => {
    let body = "";
    incoming.on("data", (chunk) => (body += String(chunk))).on("end", () => response.end(`<${body}>`));
  });
  const serving = await serveHttp(scope, httpListener(upstream.port));
  const bytes = `${post}Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-T: 1\r\n\r\n${head}Connection: close\r\n\r\n`;
  const cutAt = async (index: number): Promise<string> => {
    const socket = connect({ port: serving.port, host: "127.0.0.1", noDelay: true });
    let got = "";
    socket.on("data", (chunk) => (got += chunk.toString("latin1")));
    socket.write(bytes.slice(0, index), () => setImmediate(() => socket.write(bytes.slice(index))));
    await new Promise((resolve) => socket.once("close", resolve));
    return got;
  };
  const all = await Promise.all(Array.from({ length: bytes.length - 1 }, async (_, index) => await cutAt(index + 1)));
  for (const got of all) assert.match(got, /\r\n<abc>HTTP[^]*\r\n<>$/);
  await eventually(() => serving.open() === 0 && serving.leases() === 0, { withinMs: 2_000 });
});

test("httpProtocol ends clients that say nothing, half a head or half a body", async () => {
  await using scope = new Scope();
  const upstream = await httpUpstream(scope, (incoming) => void incoming.resume());
  const serving = await serveHttp(scope, httpListener(upstream.port, { handshakeMs: 50, idleMs: 50 }));
  assert.match(await exchangeBytes(serving.port, "GET / HT"), /^HTTP\/1.1 408 /);
  assert.match(await exchangeBytes(serving.port, `${post}Content-Length: 9\r\n\r\nabc`), /^HTTP\/1.1 408 /);
  assert.match(await exchangeBytes(serving.port, `${head}\r\n`, "}\n"), /^HTTP\/1.1 504 /);
  assert.equal(await exchangeBytes(serving.port, ""), "");
  await eventually(() => serving.open() === 0 && serving.leases() === 0, { withinMs: 2_000 });
});
