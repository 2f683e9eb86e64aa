import assert from "node:assert/strict";
import { test } from "node:test";
import { isAbort, runTogether, type Task, untilSignal } from "./tasks.ts";

const never = new AbortController().signal;

/** A loop that runs until it is told to stop, and throws the reason. */
const untilStopped: Task = (signal) =>
  new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

test("runTogether() ends all when the first ends", async () => {
  await runTogether({ loop: untilStopped, other: untilStopped, brief: async () => {} }, never);
});

test("runTogether() ends all when one fails, and throws it with its name", async () => {
  const cause = new Error("no more");
  const failing = runTogether({ loop: untilStopped, bad: () => Promise.reject(cause) }, never);
  await assert.rejects(failing, (error: Error) => error.message === 'Task "bad" failed' && error.cause === cause);
});

test("runTogether() throws several failures together: what goes wrong while stopping is not lost", async () => {
  const stopsBadly: Task = async (signal) => {
    await untilStopped(signal).catch(() => {});
    throw new Error("while stopping");
  };
  const failing = runTogether({ a: stopsBadly, b: () => Promise.reject(new Error("first")) }, never);
  await assert.rejects(failing, (error: AggregateError) => {
    assert.deepEqual(
      error.errors.map((one: Error) => [one.message, (one.cause as Error).message]),
      [
        ['Task "b" failed', "first"],
        ['Task "a" failed', "while stopping"],
      ],
    );
    return true;
  });
});

test("runTogether() ends quietly when its parent is aborted, and waits for every task", async () => {
  const stop = new AbortController();
  let isDone = false;
  const slow: Task = async (signal) => {
    await untilStopped(signal).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 20));
    isDone = true;
  };
  const running = runTogether({ slow, loop: untilStopped }, stop.signal);
  stop.abort();
  await running;
  assert.ok(isDone);
});

test("runTogether() does not wait for tasks that cannot fail to be started: a throw is a failure too", async () => {
  const throws: Task = () => {
    throw new Error("at once");
  };
  await assert.rejects(runTogether({ throws, loop: untilStopped }, never), /Task "throws" failed/);
});

test("isAbort() knows the echo of an abort from a failure", () => {
  const stop = new AbortController();
  const echo = Object.assign(new Error("aborted"), { name: "AbortError" });
  assert.equal(isAbort(echo, stop.signal), false, "nothing is aborted yet");
  stop.abort("reason");
  assert.equal(isAbort(echo, stop.signal), true);
  assert.equal(isAbort("reason", stop.signal), true);
  assert.equal(isAbort(new Error("reason"), stop.signal), false);
  assert.equal(isAbort(undefined, stop.signal), false);
});

test("untilSignal() resolves on a signal or an abort, and leaves no listener", async () => {
  const before = process.listenerCount("SIGHUP");
  const waiting = untilSignal(["SIGHUP"], never);
  assert.equal(process.listenerCount("SIGHUP"), before + 1);
  process.kill(process.pid, "SIGHUP");
  await waiting;
  const stop = new AbortController();
  const aborted = untilSignal(["SIGHUP"], stop.signal);
  stop.abort();
  await aborted;
  await untilSignal(["SIGHUP"], stop.signal);
  assert.equal(process.listenerCount("SIGHUP"), before);
});
