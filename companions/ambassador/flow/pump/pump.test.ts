import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import koffi from "koffi";
import type { Address } from "../../../frame/address.ts";
import { type Pair, readAll, startPairs } from "../pair.fixture.ts";
import { shared } from "../shared-buffer.ts";
import { intoPump, oneByte, pumped, untilEmpty } from "./pumped.fixture.ts";
import { type LoanEnd, Pump, pump } from "./pump.ts";

const shutdown = koffi.load("libc.so.6").func("int shutdown(int fd, int how)");
const SHUT_RDWR = 2;

/** A UNIX socket's, in a folder that goes with the stack. */
async function unixAddress(stack: AsyncDisposableStack): Promise<Address> {
  const folder = await mkdtemp(join(tmpdir(), "pump-"));
  stack.defer(() => rm(folder, { recursive: true }));
  return { kind: "unix", path: join(folder, "socket") };
}

const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

test("the pump hears a reset of a reader that it keeps bytes for, and of a writer that it does not read", async (t) => {
  for (const who of ["client", "server"] as const) {
    const { client, server, wires, result } = await pumped(t);
    const isFull = (): boolean => wires.client.unsent > 0;
    server.write(randomBytes(16 * 1024 * 1024));
    await eventually(() => assert.ok(isFull()), { withinMs: 5_000 });
    const one = who === "client" ? client : server;
    const other = who === "client" ? server : client;
    const broken = new Promise((resolve) => other.resume().once("close", resolve)); // its error has a listener
    one.resetAndDestroy();
    await broken;
    const { endedBy, errorCode } = await result;
    assert.equal(endedBy, who === "client" ? "client" : "upstream");
    assert.match(String(errorCode), /^(ECONNRESET|EPIPE)$/);
  }
});

test("the pump waits, without a turn, for a reader that has ended its direction and reads no more", async (t) => {
  const { client, server, wires, result, said } = await pumped(t);
  client.end();
  await once(server.resume(), "end");
  let sent = 0;
  await eventually(
    () => {
      server.write(randomBytes(256 * 1024));
      sent += 256 * 1024;
      assert.ok(wires.client.unsent > 0);
    },
    { withinMs: 5_000, everyMs: 5 },
  );
  server.end();
  await once(server, "finish"); // its end waits with the last bytes to be read: a socket that has hung up, and is not wanted yet
  const { user, system } = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 300)); // a thing that does not happen has no event
  const since = process.cpuUsage({ user, system });
  assert.ok(since.user + since.system < 200_000, JSON.stringify(since)); // a turn of 300 ms would be all of them
  assert.equal((await readAll(client)).length, sent);
  assert.equal(wires.upstream.bytesRead, sent + said);
  assert.deepEqual(await result, { endedBy: "client", errorCode: undefined });
});

test("the pump passes what had come before a reset, though its reader is slow", async (t) => {
  const { client, server, wires, result } = await pumped(t);
  let sent = 0;
  await eventually(
    async () => {
      sent += 256 * 1024;
      await new Promise<void>((resolve) => void server.write(randomBytes(256 * 1024), () => resolve()));
      assert.ok(wires.client.unsent > 0);
    },
    { withinMs: 5_000, everyMs: 5 },
  );
  server.resetAndDestroy();
  let received = 0;
  const closed = new Promise((resolve) => client.once("close", resolve)); // its error has a listener
  client.on("data", ({ length }: Buffer) => (received += length)).resume();
  await closed;
  assert.equal(received, sent);
  assert.deepEqual(await result, { endedBy: "upstream", errorCode: "ECONNRESET" });
});

test("a connection that read widely leaves its place among the wide readers once it is pumped", async (t) => {
  const stack = new AsyncDisposableStack();
  t.after(() => stack.disposeAsync());
  await untilEmpty();
  const { client, server } = await (await startPairs(stack))();
  server.resume();
  const chunk = Buffer.alloc(200_000);
  for (let sent = 0; pump.size === 0;) {
    client.write(chunk);
    sent += chunk.length;
    await eventually(() => assert.ok(pump.size > 0 || server.bytesRead === sent), { withinMs: 5_000, everyMs: 1 });
  }
  assert.equal(shared.wideReaders, 0);
});

test("a stream that never pauses, and whose receiver is the slower one, comes to the pump too", async (t) => {
  const stack = new AsyncDisposableStack();
  t.after(() => stack.disposeAsync());
  await untilEmpty();
  const { client, server } = await (await startPairs(stack))();
  const chunk = Buffer.alloc(1024 * 1024);
  const write = (): void => {
    while (!client.destroyed && client.write(chunk));
  };
  client.on("drain", write);
  write();
  const sip = setInterval(() => server.read(), 1);
  t.after(() => clearInterval(sip));
  await eventually(() => assert.equal(pump.size, 1), { withinMs: 10_000, everyMs: 1 });
});

test("the pump gives up what it keeps for a UNIX socket that was shut down both ways, and not closed", async (t) => {
  const stack = new AsyncDisposableStack();
  t.after(() => stack.disposeAsync());
  await untilEmpty();
  const { client, server, wires, result } = await intoPump(await (await startPairs(stack, {}, await unixAddress(stack)))());
  server.write(randomBytes(8 * 1024 * 1024));
  await eventually(() => assert.ok(wires.client.unsent > 0), { withinMs: 5_000 });
  const { _handle: handle } = client as Socket & { readonly _handle: { readonly fd: number } }; // Node itself shuts down but one
  assert.equal(shutdown(handle.fd, SHUT_RDWR), 0);
  assert.deepEqual(await result, { endedBy: "client", errorCode: "EPIPE" });
  await untilEmpty();
});

test("the pump gives a connection up that is destroyed here, at once and with what it counted", async (t) => {
  const { client, server, wires, result, said } = await pumped(t);
  const ended = [once(client.resume(), "end"), once(server.resume(), "end")];
  wires.client.destroy();
  assert.ok(wires.client.isClosed);
  assert.equal((await result).endedBy, "client");
  await Promise.all(ended);
  assert.ok(wires.upstream.isClosed);
  assert.equal(wires.client.bytesRead, said);
  await untilEmpty();
});

test("a connection with a tap is left to the event loop", async (t) => {
  const stack = new AsyncDisposableStack();
  t.after(() => stack.disposeAsync());
  await untilEmpty();
  const { client, server } = await (await startPairs(stack, { fromClient: (chunk) => chunk }))();
  for (let turn = 0; turn < 200; turn += 1) {
    client.write("?");
    await oneByte(server);
  }
  assert.equal(pump.size, 0);
});

test("the pump passes whatever comes in whatever pieces, over connections that come and go", async (t) => {
  const stack = new AsyncDisposableStack();
  t.after(() => stack.disposeAsync());
  await untilEmpty();
  const pair = await startPairs(stack);
  const exchange = async ({ client, server, result }: Pair): Promise<void> => {
    const [there, back] = [randomBytes(randomInt(300_000)), randomBytes(randomInt(300_000))];
    const received = [readAll(server), readAll(client)];
    await Promise.all([writeInPieces(client, there), writeInPieces(server, back)]);
    assert.deepEqual((await Promise.all(received)).map(digest), [digest(there), digest(back)]);
    assert.equal((await result).errorCode, undefined);
  };
  for (let round = 0; round < 20; round += 1) {
    const pairs: Pair[] = [];
    while (pairs.length < 10) pairs.push(await intoPump(await pair()));
    await Promise.all(pairs.map(exchange));
  }
  await untilEmpty();
});

test("Pump.lend() takes nothing where its thread cannot begin, and says why", async () => {
  const broken = new Pump(new URL("data:text/javascript,throw new Error('no koffi here')"));
  const lend = (): unknown => broken.lend({ client: -1, upstream: -1 }, () => assert.fail("it was taken"));
  assert.equal(lend(), undefined);
  assert.equal((await broken.failed).message, "no koffi here");
  assert.equal(lend(), undefined);
});

test("a socket that the kernel does not wait for is over by itself, and the pump goes on", async (t) => {
  const fd = openSync(import.meta.filename, "r"); // epoll takes no files
  t.after(() => closeSync(fd));
  const own = new Pump();
  const ends: LoanEnd[] = [];
  const lend = (): unknown => own.lend({ client: fd, upstream: fd }, ({ side, first, errno }) => ends.push({ side, first, errno }));
  await eventually(() => assert.notEqual(lend(), undefined), { withinMs: 5_000 });
  await eventually(() => assert.equal(ends.length, 1), { withinMs: 5_000 });
  assert.notEqual(lend(), undefined);
  await eventually(() => assert.equal(ends.length, 2), { withinMs: 5_000 });
  assert.deepEqual(ends[1], { side: 0, first: 0, errno: constants.errno.EPERM });
});

test("a process ends though its pump has begun and could not say so yet", async () => {
  const code = `
    import { pump } from ${JSON.stringify(new URL("./pump.ts", import.meta.url).href)};
    pump.lend({ client: -1, upstream: -1 }, () => {});
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000); // nothing is heard here meanwhile
    process.exit(7);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", code], {
    stdio: "inherit",
    timeout: 10_000,
    killSignal: "SIGKILL",
  });
  assert.deepEqual(await once(child, "exit"), [7, null]);
});

test("Pump.lend() takes nothing where no thread can be had, and says why", async () => {
  const impossible = new Pump(new URL("http://nowhere/thread.ts")); // new Worker() throws, as it does where a limit keeps it from a thread
  assert.equal(
    impossible.lend({ client: -1, upstream: -1 }, () => assert.fail("it was taken")),
    undefined,
  );
  assert.equal(((await impossible.failed) as NodeJS.ErrnoException).code, "ERR_INVALID_URL_SCHEME");
});

test("a Pump whose thread fails breaks what it had, and takes no more", async () => {
  const code = `
    import { workerData } from "node:worker_threads";
    import { openSync } from "node:fs";
    workerData.port.postMessage({ kind: "ready", waker: openSync("/dev/null", "w") });
    workerData.port.once("message", () => { throw new Error("a bug"); });`;
  const broken = new Pump(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  const ends: LoanEnd[] = [];
  const lend = (): unknown => broken.lend({ client: -1, upstream: -1 }, (end) => ends.push(end));
  await eventually(() => assert.notEqual(lend(), undefined), { withinMs: 5_000 });
  assert.equal((await broken.failed).message, "a bug");
  assert.deepEqual(ends, [{ side: 1, first: 1, errno: 103 }]); // ECONNABORTED, the upstream's
  assert.equal(broken.size, 0);
  assert.equal(lend(), undefined);
});

async function writeInPieces(socket: Socket, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const next = at + 1 + randomInt(at % 2 === 0 ? 100_000 : 100);
    if (!socket.write(bytes.subarray(at, next))) await once(socket, "drain");
    at = next;
  }
  socket.end();
}

function randomInt(below: number): number {
  return Math.floor(Math.random() * below);
}
