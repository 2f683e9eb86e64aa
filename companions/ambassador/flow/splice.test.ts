import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import { eventually } from "@peapod/kit";
import { type Pair, readAll, startPairs } from "./pair.fixture.ts";
import { type Splice, splice } from "./splice.ts";

async function onePair(context: TestContext, taps?: Splice): Promise<Pair> {
  const stack = new AsyncDisposableStack();
  context.after(() => stack.disposeAsync());
  return await (
    await startPairs(stack, taps)
  )();
}

const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

test("splice() passes 20 MB each way at the same time, unchanged, and counts them", async (t) => {
  const { client, server, wires, result } = await onePair(t);
  const [there, back] = [randomBytes(20_000_000), randomBytes(20_000_001)];
  const received = [readAll(server), readAll(client)];
  client.end(there);
  server.end(back);
  assert.deepEqual((await Promise.all(received)).map(digest), [digest(there), digest(back)]);
  assert.equal((await result).errorCode, undefined);
  assert.deepEqual([wires.client.bytesRead, wires.upstream.bytesWritten], [there.length, there.length]);
  assert.deepEqual([wires.upstream.bytesRead, wires.client.bytesWritten], [back.length, back.length]);
});

for (const first of ["client", "server"] as const)
  test(`splice() lets a ${first} end its direction, and passes the other until it ends too`, async (t) => {
    const { client, server, result } = await onePair(t);
    const [one, other] = first === "client" ? [client, server] : [server, client];
    const received = [readAll(other), readAll(one)];
    one.end("question");
    assert.equal(String(await received[0]), "question");
    other.write("ans");
    other.end("wer");
    assert.equal(String(await received[1]), "answer");
    assert.deepEqual(await result, { endedBy: first === "client" ? "client" : "upstream", errorCode: undefined });
  });

for (const who of ["client", "server"] as const)
  test(`splice() resets the other side when a ${who} resets`, async (t) => {
    const { client, server, result } = await onePair(t);
    const [one, other] = who === "client" ? [client, server] : [server, client];
    one.write("half a mess");
    await once(other.resume(), "data");
    const error = once(other, "error");
    one.resetAndDestroy();
    assert.equal(((await error)[0] as NodeJS.ErrnoException).code, "ECONNRESET"); // errors of sockets have codes
    assert.deepEqual(await result, { endedBy: who === "client" ? "client" : "upstream", errorCode: "ECONNRESET" });
  });

test("splice() stops a writer whose reader does not read, keeps little, and loses nothing", async (t) => {
  const { client, server, wires, result } = await onePair(t);
  const chunk = randomBytes(1024 * 1024);
  client.pause();
  for (let written = 0; written < 64; written += 1) server.write(chunk);
  server.end();
  let before = -1;
  await eventually(
    () => {
      const now = wires.upstream.bytesRead;
      const isStill = now === before && wires.client.unsent > 0;
      before = now;
      assert.ok(isStill);
    },
    { withinMs: 5_000, everyMs: 50 },
  );
  assert.ok(wires.client.unsent <= 1024 * 1024, String(wires.client.unsent));
  assert.ok(wires.upstream.bytesRead < 64 * chunk.length);
  const received = readAll(client);
  client.end();
  assert.equal((await received).length, 64 * chunk.length);
  assert.equal((await result).errorCode, undefined);
});

test("splice() ends the upstream when the client's wire is destroyed, though the client had ended its direction", async (t) => {
  const { client, server, wires, result } = await onePair(t);
  server.resume();
  const ended = once(server, "end");
  client.end();
  await ended;
  wires.client.destroy();
  assert.equal((await result).endedBy, "client");
  assert.ok(wires.upstream.isClosed);
});

test("splice() gives each piece to its tap, and sends what the tap gives", async (t) => {
  const { client, server, result } = await onePair(t, {
    fromClient: (chunk) => Buffer.from(chunk.toString().toUpperCase()),
    fromUpstream: (chunk) => (chunk.toString() === "drop me" ? chunk.subarray(0, 0) : chunk),
  });
  const received = [readAll(server), readAll(client)];
  client.end("select 1");
  assert.equal(String(await received[0]), "SELECT 1");
  server.end("drop me");
  assert.equal(String(await received[1]), "");
  assert.equal((await result).errorCode, undefined);
});

test("splice() finishes once the answer went to the client, not while a question is open", async (t) => {
  const finish = new AbortController();
  const { client, server, result } = await onePair(t, { finish: finish.signal });
  client.resume();
  server.resume();
  client.write("question");
  await once(server, "data");
  finish.abort();
  await new Promise((resolve) => setTimeout(resolve, 150)); // a thing that does not happen has no event: three pauses, in each of which it could
  assert.equal(client.readableEnded, false);
  const ended = once(client, "end");
  server.write("answer");
  await ended;
  assert.equal((await result).errorCode, undefined);
});

test("splice() of wires that break as they are joined is over, and stays so when it is told to finish", async (t) => {
  const { wires } = await onePair(t);
  const { wires: others } = await onePair(t);
  const heard: string[] = [];
  const client = others.client;
  client.unread(Buffer.from("read ahead"));
  const broken = splice(client, wires.upstream, {
    fromClient: (chunk) => {
      heard.push(chunk.toString());
      client.destroy();
      return chunk;
    },
  });
  broken.finish();
  assert.deepEqual(await broken.done, { endedBy: "client", errorCode: undefined });
  assert.deepEqual(heard, ["read ahead"]);
  assert.ok(wires.upstream.isClosed);
  const timers = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  broken.finish();
  assert.equal(process.getActiveResourcesInfo().filter((name) => name === "Timeout").length, timers);
});
