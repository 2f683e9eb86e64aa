import assert from "node:assert/strict";
import { test } from "node:test";
import { Scope } from "./scope.ts";

test("Scope aborts its signal first, then releases in reverse order, once", async () => {
  const scope = new Scope();
  const seen: string[] = [];
  scope.signal.addEventListener("abort", () => seen.push("abort"));
  scope.defer(() => void seen.push("first"));
  scope.defer(async () => {
    await new Promise((resolve) => setImmediate(resolve));
    seen.push("second");
  });
  const resource = scope.use({ [Symbol.dispose]: () => void seen.push("third") });
  assert.equal(typeof resource[Symbol.dispose], "function");
  assert.equal(scope.signal.aborted, false);
  await scope[Symbol.asyncDispose]();
  await scope[Symbol.asyncDispose]();
  assert.deepEqual(seen, ["abort", "third", "second", "first"]);
});

test("Scope releases the rest when one release fails, and tells of every failure", async () => {
  const scope = new Scope();
  let isReleased = false;
  scope.defer(() => void (isReleased = true));
  scope.defer(() => {
    throw new Error("one");
  });
  scope.defer(async () => {
    throw new Error("two");
  });
  await assert.rejects(scope[Symbol.asyncDispose](), (error: SuppressedError) => {
    assert.equal((error.error as Error).message, "one");
    assert.equal((error.suppressed as Error).message, "two");
    return true;
  });
  assert.ok(isReleased);
});

test("Scope takes nothing more once it is closed: nobody would release it", async () => {
  const scope = new Scope();
  await scope[Symbol.asyncDispose]();
  assert.throws(() => scope.defer(() => {}), ReferenceError);
  assert.throws(() => scope.use({ [Symbol.dispose]: () => {} }), ReferenceError);
});
