import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import { eventually } from "@peapod/kit";
import { type Pair, readAll, startPairs } from "./pair.fixture.ts";
import { pumped, type Pumped, untilEmpty } from "./pump/pumped.fixture.ts";
import { type Splice, splice } from "./splice.ts";

async function onePair(context: TestContext, taps?: Splice): Promise<Pair> {
  const stack = new AsyncDisposableStack();
  context.after(() => stack.disposeAsync());
  return await (
    await startPairs(stack, taps)
  )();
}

const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** What a splice does it does in either way: by the event loop, and lent to the pump. `said` bytes went each way before. */
const ways: Readonly<Record<string, (context: TestContext, taps?: Splice) => Promise<Pumped>>> = {
  "splice()": async (context, taps) => ({ ...(await onePair(context, taps)), said: 0 }),
  "the pump": pumped,
};

for (const [way, make] of Object.entries(ways)) {
  test(`${way} passes 20 MB each way at the same time, unchanged, and counts them`, async (t) => {
    const { client, server, wires, result, said } = await make(t);
    const [there, back] = [randomBytes(20_000_000), randomBytes(20_000_001)];
    const received = [readAll(server), readAll(client)];
    client.end(there);
    server.end(back);
    assert.deepEqual((await Promise.all(received)).map(digest), [digest(there), digest(back)]);
    assert.equal((await result).errorCode, undefined);
    assert.deepEqual([wires.client.bytesRead, wires.upstream.bytesWritten], [there.length + said, there.length + said]);
    assert.deepEqual([wires.upstream.bytesRead, wires.client.bytesWritten], [back.length + said, back.length + said]);
    await untilEmpty();
  });

  for (const first of ["client", "server"] as const)
    test(`${way} lets a ${first} end its direction, and passes the other until it ends too`, async (t) => {
      const { client, server, result } = await make(t);
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
    test(`${way} resets the other side when a ${who} resets`, async (t) => {
      const { client, server, result } = await make(t);
      const [one, other] = who === "client" ? [client, server] : [server, client];
      one.write("half a mess");
      await once(other.resume(), "data");
      const error = once(other, "error");
      one.resetAndDestroy();
      assert.equal(((await error)[0] as NodeJS.ErrnoException).code, "ECONNRESET"); // errors of sockets have codes
      assert.deepEqual(await result, { endedBy: who === "client" ? "client" : "upstream", errorCode: "ECONNRESET" });
    });

  test(`${way} stops a writer whose reader does not read, keeps little, and loses nothing`, async (t) => {
    const { client, server, wires, result } = await make(t);
    const chunk = randomBytes(1024 * 1024);
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
    assert.equal(wires.client.unsent, 0);
  });

  test(`${way} tells who ended first, whoever broke what was left`, async (t) => {
    const { client, server, result } = await make(t);
    client.end();
    await once(server.resume(), "end");
    server.resetAndDestroy();
    assert.deepEqual(await result, { endedBy: "client", errorCode: "ECONNRESET" });
  });

  test(`${way} finishes once the answer went to the client, not while a question is open`, async (t) => {
    const finish = new AbortController();
    const { client, server, result } = await make(t, { finish: finish.signal });
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

  test(`${way} does not finish while bytes are kept for the upstream, though the upstream spoke last`, async (t) => {
    const finish = new AbortController();
    const { client, server, wires, result, said } = await make(t, { finish: finish.signal });
    const sent = 16 * 1024 * 1024;
    client.write(Buffer.alloc(sent));
    await eventually(() => assert.ok(wires.upstream.unsent > 0), { withinMs: 5_000 });
    server.write("progress");
    await once(client.resume(), "data");
    finish.abort();
    await new Promise((resolve) => setTimeout(resolve, 150)); // a thing that does not happen has no event: three pauses, in each of which it could
    server.on("data", () => server.bytesRead - said === sent && server.write("done"));
    server.resume();
    assert.equal((await result).errorCode, undefined);
    assert.equal(server.bytesRead, sent + said);
  });
}

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

for (const who of ["fromClient", "fromUpstream", "isPause"] as const)
  test(`splice() ends its own connection where ${who} throws, and rejects with that`, async (t) => {
    const finish = new AbortController();
    const broken = (): never => {
      throw new Error("a bug");
    };
    const { client, server, result } = await onePair(t, { [who]: broken, finish: finish.signal });
    const rejected = assert.rejects(result, /^Error: a bug$/);
    const closed = [client, server].map((socket) => new Promise((resolve) => socket.resume().once("close", resolve)));
    (who === "fromClient" ? client : server).write("words"); // a client that asked last is at no pause
    finish.abort();
    await Promise.all([rejected, ...closed]);
  });
