import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createSecureContext } from "node:tls";
import { promisify } from "node:util";
import { listenOnLoopback, readAll } from "./pair.fixture.ts";
import { splice } from "./splice.ts";
import { dial, Wire } from "./wire.ts";

const never = new AbortController().signal;

/** A wire to a server of ours, and the server's end. */
async function wireAndServer(stack: AsyncDisposableStack): Promise<{ wire: Wire; far: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  stack.defer(() => void server.close());
  const address = await listenOnLoopback(server);
  const accepted = once(server, "connection");
  const wire = await dial(address, { keepAliveMs: 1_000 }, never);
  const far = (await accepted)[0] as Socket; // what the event gives
  far.on("error", () => {});
  stack.defer(() => void [wire, far].map((one) => one.destroy()));
  return { wire, far };
}

test("dial() says that nobody listens", async () => {
  const server = createServer();
  const address = await listenOnLoopback(server);
  server.close();
  await once(server, "close");
  await assert.rejects(dial(address, { keepAliveMs: undefined }, never), {
    code: "UPSTREAM_UNREACHABLE",
    message: `Cannot connect to 127.0.0.1:${address.port}`,
  });
});

test("dial() gives up when its signal does, in the middle of connecting", async () => {
  const stop = new AbortController();
  const dialling = dial({ kind: "tcp", host: "127.0.0.1", port: 1 }, { keepAliveMs: undefined }, stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(dialling, { message: "enough" });
});

test("dial() ends the connection, and throws, where what it is to do first fails", async () => {
  await using stack = new AsyncDisposableStack();
  const server = createServer((socket) => socket.on("error", () => {}));
  stack.defer(() => void server.close());
  const address = await listenOnLoopback(server);
  const accepted = once(server, "connection");
  const onConnected = (): void => {
    throw new Error("no header");
  };
  await assert.rejects(dial(address, { keepAliveMs: undefined, onConnected }, never), { message: "no header" });
  await once(((await accepted)[0] as Socket).resume(), "close"); // what the event gives
});

test("Wire begins no TLS with a side that has gone, though bytes of it are unread", async () => {
  await using stack = new AsyncDisposableStack();
  for (const leave of ["end", "resetAndDestroy"] as const) {
    const { wire, far } = await wireAndServer(stack);
    far.write(Buffer.of(22, 3, 1, 0, 200));
    wire.unread(await wire.read(5));
    const gone = new Promise<void>((resolve) => void wire.whenGone(resolve, { atEnd: true }));
    far[leave]();
    await gone;
    await assert.rejects(wire.acceptTls(createSecureContext(), { requestCert: false }), { name: "WireEnded" });
  }
});

test("Wire.read() throws when the other side ends or resets before all came, and keeps what came", async () => {
  await using stack = new AsyncDisposableStack();
  const ended = await wireAndServer(stack);
  ended.far.end("abc");
  await assert.rejects(ended.wire.read(4), { name: "WireEnded" });
  assert.equal(String(await ended.wire.read(3)), "abc");
  assert.ok(ended.wire.isAtEnd);
  const broken = await wireAndServer(stack);
  const reading = broken.wire.read(1);
  broken.far.resetAndDestroy();
  await assert.rejects(reading, (error: Error) => (error.cause as NodeJS.ErrnoException).code === "ECONNRESET"); // of a socket
});

test("Wire stops reading ahead at a limit, and reads a message beyond it when asked to", async () => {
  await using stack = new AsyncDisposableStack();
  const { wire, far } = await wireAndServer(stack);
  far.write(Buffer.alloc(8_000_000, 1));
  assert.equal((await wire.read(1)).length, 1);
  assert.ok(wire.buffered <= 200_000, String(wire.buffered));
  assert.equal((await wire.read(7_999_999)).length, 7_999_999);
});

test("Wire speaks TLS on both sides after plain text, and splices it; plain text in front of TLS is refused", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "ambassador-wire-"));
  stack.defer(() => rm(folder, { recursive: true }));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await promisify(execFile)("openssl", ["req", "-x509", ...curve, "-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=localhost"]);
  const context = createSecureContext({ key: await readFile(key), cert: await readFile(cert) });
  const { wire, far } = await wireAndServer(stack);
  const served = new Wire(far);
  wire.write(Buffer.from("?"));
  assert.equal(String(await served.read(1)), "?");
  const [, secure] = await Promise.all([
    served.acceptTls(context, { requestCert: false }),
    wire.startTls({ ca: await readFile(cert), servername: "localhost" }),
  ]);
  assert.ok(secure.authorized);
  const outside = await wireAndServer(stack);
  const result = splice(outside.wire, wire).done;
  const body = Buffer.alloc(3_000_000, "x");
  outside.far.end(body);
  const echoed = readAll(outside.far);
  assert.equal((await served.read(body.length)).length, body.length);
  served.write(body);
  served.end();
  assert.equal((await echoed).length, body.length);
  assert.equal((await result).errorCode, undefined);
  const early = await wireAndServer(stack);
  early.far.write("HTTP");
  early.wire.unread(await early.wire.read(4));
  await assert.rejects(early.wire.startTls({}), { code: "UPSTREAM_UNTRUSTED" });
});
