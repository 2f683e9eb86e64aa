import type { Acceptor, ListenOptions } from "./acceptor.ts";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { pbkdf2 } from "node:crypto";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { AmbassadorError } from "../errors.ts";
import { listen } from "./listen.ts";
import { listenOnLoopback, loopback, readAll, tcp } from "./pair.fixture.ts";
import { type Ends, makeProxyHeader } from "./proxy-protocol.ts";
import type { Wire } from "./wire.ts";

const base: ListenOptions = { listen: loopback, socketMode: 0o600, acceptProxyProtocol: false, handshakeMs: 5_000 };

interface Seen<T> {
  readonly accepted: Promise<{ readonly client: T; readonly ends: Ends }>;
  readonly refused: Promise<AmbassadorError>;
  readonly acceptor: { readonly onConnection: (client: T, ends: Ends) => void; readonly onRefused: (error: unknown) => void };
}

function watch<T extends { destroy(): void }>(stack: AsyncDisposableStack): Seen<T> {
  const accepted = Promise.withResolvers<{ client: T; ends: Ends }>();
  const refused = Promise.withResolvers<AmbassadorError>();
  const onConnection = (client: T, ends: Ends): void => {
    stack.defer(() => client.destroy());
    accepted.resolve({ client, ends });
  };
  return {
    accepted: accepted.promise,
    refused: refused.promise,
    acceptor: { onConnection, onRefused: (error) => refused.resolve(error as AmbassadorError) },
  };
}

function stackOf(context: TestContext): AsyncDisposableStack {
  const stack = new AsyncDisposableStack();
  context.after(() => stack.disposeAsync());
  return stack;
}

async function start(stack: AsyncDisposableStack, acceptor: Acceptor, options: Partial<ListenOptions> = {}): Promise<number> {
  const listening = await listen({ ...base, ...options }, acceptor);
  stack.defer(() => listening.close());
  return listening.address.kind === "tcp" ? listening.address.port : 0;
}

function dialTest(stack: AsyncDisposableStack, port: number): Socket {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {});
  stack.defer(() => void socket.destroy());
  return socket;
}

const noOne: Acceptor = { kind: "socket", onConnection: (socket) => void socket.destroy(), onRefused: () => {} };
const ends: Ends = { client: { address: "192.0.2.1", port: 4711 }, local: { address: "192.0.2.2", port: 5432 } };

test("listen() hands out wires with both ends, which are read and answered", async (t) => {
  const stack = stackOf(t);
  const seen = watch<Wire>(stack);
  const port = await start(stack, { kind: "wire", ...seen.acceptor });
  const socket = dialTest(stack, port);
  socket.end("hello");
  const { client, ends: told } = await seen.accepted;
  assert.deepEqual(told, { client: { address: "127.0.0.1", port: socket.localPort }, local: { address: "127.0.0.1", port } });
  assert.equal(String(await client.read(2)), "he");
  client.unread(Buffer.from("HE"));
  assert.equal(String(await client.readSome(100)), "HEllo");
  assert.equal((await client.readSome(100)).length, 0);
  client.write(Buffer.from("bye"));
  client.end();
  assert.equal(String(await readAll(socket)), "bye");
});

for (const version of ["v1", "v2"] as const)
  test(`listen() hands out sockets with the ends of a PROXY ${version} header, and leaves what follows it`, async (t) => {
    const stack = stackOf(t);
    const seen = watch<Socket>(stack);
    const port = await start(stack, { kind: "socket", ...seen.acceptor }, { acceptProxyProtocol: true });
    const socket = dialTest(stack, port);
    const header = makeProxyHeader(version, ends);
    socket.write(header.subarray(0, 9));
    await once(socket, "connect");
    socket.end(Buffer.concat([header.subarray(9), Buffer.from("GET /")]));
    const { client, ends: told } = await seen.accepted;
    assert.deepEqual(told, ends);
    assert.ok(client.isPaused());
    assert.equal(String(await readAll(client)), "GET /");
  });

test("listen() ends a connection without the header that must be there, or whose header does not come in time", async (t) => {
  const stack = stackOf(t);
  const wrong = watch<Wire>(stack);
  const late = watch<Wire>(stack);
  const closed = [wrong, late].map(async (seen) => {
    const port = await start(
      stack,
      { kind: "wire", ...seen.acceptor },
      { acceptProxyProtocol: true, handshakeMs: seen === late ? 30 : 5_000 },
    );
    const socket = connect({ port, host: "127.0.0.1" }).on("error", () => {});
    stack.defer(() => void socket.destroy());
    const close = once(socket.resume(), "close");
    socket.write(seen === wrong ? "GET / HTTP/1.1\r\n" : "PROXY ");
    await close;
    return (await seen.refused).code;
  });
  assert.deepEqual(await Promise.all(closed), ["CLIENT_PROTOCOL", "CLIENT_GONE"]);
});

test("listen() says what to do about a port that is taken", async (t) => {
  const stack = stackOf(t);
  const port = await start(stack, noOne);
  await assert.rejects(listen({ ...base, listen: { ...tcp(loopback), port } }, noOne), {
    code: "LISTEN_FAILED",
    message: new RegExp(`127.0.0.1:${port}: another process listens`),
  });
});

test("listen() replaces a UNIX socket that nobody listens on, sets its mode, leaves a living one alone, and removes its own", async (t) => {
  const stack = stackOf(t);
  const folder = await mkdtemp(join(tmpdir(), "ambassador-listen-"));
  stack.defer(() => rm(folder, { recursive: true }));
  const path = join(folder, "db.sock");
  const options: ListenOptions = { ...base, listen: { kind: "unix", path } };
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await once(spawn(process.execPath, ["-e", script], { stdio: "ignore" }), "exit");
  assert.ok((await stat(path)).isSocket());
  const seen = watch<Wire>(stack);
  const listening = await listen(options, { kind: "wire", ...seen.acceptor });
  stack.defer(() => listening.close());
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const socket = connect({ path });
  stack.defer(() => void socket.destroy());
  socket.write("over a file");
  assert.equal(String(await (await seen.accepted).client.read(11)), "over a file");
  await assert.rejects(listen(options, noOne), { code: "LISTEN_FAILED" });
  await listening.close();
  await assert.rejects(stat(path), { code: "ENOENT" });
});

test("listen() lets nobody else have a UNIX socket for a moment, and serves who comes at once", async (t) => {
  const stack = stackOf(t);
  const folder = await mkdtemp(join(tmpdir(), "ambassador-listen-"));
  stack.defer(() => rm(folder, { recursive: true }));
  const path = join(folder, "db.sock");
  const before = process.umask(0);
  stack.defer(() => void process.umask(before));
  const seen = watch<Wire>(stack);
  const opening = listen({ ...base, listen: { kind: "unix", path } }, { kind: "wire", ...seen.acceptor });
  for (let busy = 0; busy < 8; busy += 1) pbkdf2("", "", 100_000, 32, "sha256", () => {}); // libuv's threads, which would chmod it
  while (!existsSync(path)) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((statSync(path).mode & 0o777).toString(8), "600");
  assert.equal(process.umask(), 0);
  const socket = connect({ path });
  stack.defer(() => void socket.destroy());
  stack.defer(async () => await (await opening).close());
  socket.write("early");
  assert.equal(String(await (await seen.accepted).client.read(5)), "early");
});

test("an idle connection through listen(), dial() and splice() takes less than 20 KB", async (t) => {
  const stack = stackOf(t);
  const count = 5_000;
  let arrived = 0;
  const server = createServer((socket) => {
    arrived += 1;
    socket.on("error", () => {}).on("close", () => (arrived -= 1));
    socket.write("ready");
  });
  const { port: upstreamPort } = await listenOnLoopback(server);
  stack.defer(() => void server.close());
  const program = fileURLToPath(new URL("idle-proxy.fixture.ts", import.meta.url));
  const proxy = spawn(process.execPath, ["--expose-gc", program, `${upstreamPort}`], { stdio: ["pipe", "pipe", "inherit"] });
  const exit = once(proxy, "exit");
  stack.defer(async () => {
    proxy.kill("SIGKILL");
    await exit;
  });
  const lines = createInterface(proxy.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<number> => Number((await lines.next()).value);
  const port = await next();
  const open = async (): Promise<Socket> => {
    const socket = connect({ port, host: "127.0.0.1" }).on("error", () => {});
    stack.defer(() => void socket.destroy());
    await once(socket, "data");
    return socket;
  };
  for (let index = 0; index < 100; index += 1) await open(); // what the first connections cost once
  proxy.stdin.write("\n");
  const before = await next();
  for (let batch = 0; batch < count / 100; batch += 1) await Promise.all(Array.from({ length: 100 }, open));
  assert.equal(arrived, count + 100);
  proxy.stdin.write("\n");
  const each = ((await next()) - before) / count;
  t.diagnostic(`${Math.round(each)} bytes for each of ${count} idle connections`);
  assert.ok(each < 20_000, `${each} bytes`);
});
