import type { Cancel } from "../flow/cancel.ts";
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import test from "node:test";
import { within } from "./within.ts";

const timeoutError = (): Error => new Error("too late");

test("within() gives what the work gives, and leaves no listener and no timer", async () => {
  const { signal } = new AbortController();
  const before = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  assert.equal(await within({ ms: 60_000, signal, timeoutError }, () => Promise.resolve(5)), 5);
  await assert.rejects(
    within({ ms: 60_000, signal, timeoutError }, () => Promise.reject(new Error("no"))),
    /no/,
  );
  const throwing = (): Promise<never> => {
    throw new Error("at once");
  };
  await assert.rejects(within({ ms: 60_000, signal, timeoutError }, throwing), /at once/);
  assert.equal(getEventListeners(signal, "abort").length, 0);
  assert.equal(process.getActiveResourcesInfo().filter((name) => name === "Timeout").length, before);
});

test("within() rejects in time, tells the work, and ends what comes too late", async () => {
  const { signal } = new AbortController();
  const late = Promise.withResolvers<{ destroy(): void }>();
  let heard: unknown;
  let isDestroyed = false;
  const work = (given: Cancel): Promise<{ destroy(): void }> => {
    given.addEventListener("abort", () => (heard = given.reason));
    return late.promise;
  };
  await assert.rejects(within({ ms: 1, signal, timeoutError }, work), /too late/);
  assert.ok(heard instanceof Error && heard.message === "too late");
  late.resolve({ destroy: () => (isDestroyed = true) });
  await turn();
  assert.ok(isDestroyed);
  assert.equal(getEventListeners(signal, "abort").length, 0);
});

test("within() rejects with the caller's reason at once, and disposes of what comes later", async () => {
  const control = new AbortController();
  const late = Promise.withResolvers<Disposable>();
  const result = within({ ms: 60_000, signal: control.signal, timeoutError }, () => late.promise);
  control.abort(new Error("gone"));
  await assert.rejects(result, /gone/);
  let isDisposed = false;
  late.resolve({ [Symbol.dispose]: () => (isDisposed = true) });
  await turn();
  assert.ok(isDisposed);
  const begun: true[] = [];
  const work = (): Promise<unknown> => Promise.resolve(begun.push(true));
  await assert.rejects(within({ ms: 60_000, signal: control.signal, timeoutError }, work), /gone/);
  assert.deepEqual(begun, []);
});

test("within() hears nothing of a work that fails too late", async () => {
  const control = new AbortController();
  const late = Promise.withResolvers<never>();
  const result = within({ ms: 60_000, signal: control.signal, timeoutError }, () => late.promise);
  control.abort(new Error("gone"));
  await assert.rejects(result, /gone/);
  late.reject(new Error("after all")); // an unhandled rejection would fail the run
  await turn();
});
