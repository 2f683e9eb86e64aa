import assert from "node:assert/strict";
import { test } from "node:test";
import { abortSignalOf, Cancel } from "./cancel.ts";

test("Cancel tells each who hears once, with the first reason", () => {
  const cancel = new Cancel();
  const heard: string[] = [];
  const [one, other, gone] = ["one", "other", "gone"].map((name) => () => void heard.push(`${name} ${String(cancel.reason)}`));
  assert.ok(one !== undefined && other !== undefined && gone !== undefined);
  for (const hear of [one, gone, other]) cancel.addEventListener("abort", hear);
  cancel.removeEventListener("abort", gone);
  cancel.throwIfAborted();
  cancel.abort("enough");
  cancel.abort("too late");
  assert.deepEqual(heard, ["one enough", "other enough"]);
  assert.ok(cancel.aborted);
  assert.throws(
    () => cancel.throwIfAborted(),
    (reason) => reason === "enough",
  );
});

test("Cancel gives an AbortSignal that is aborted with it, before and after", () => {
  const [early, late] = [new Cancel(), new Cancel()];
  const { signal } = early;
  const reason = new Error("enough");
  for (const cancel of [early, late]) cancel.abort(reason);
  assert.equal(signal.reason, reason);
  assert.equal(early.signal, signal);
  assert.equal(abortSignalOf(late).reason, reason);
  assert.equal(abortSignalOf(signal), signal);
});

test("Cancel does not tell who is taken back by another who hears", () => {
  const cancel = new Cancel();
  const heard: string[] = [];
  const other = (): void => void heard.push("other");
  cancel.addEventListener("abort", () => {
    heard.push("one");
    cancel.removeEventListener("abort", other);
  });
  cancel.addEventListener("abort", other);
  cancel.abort("enough");
  assert.deepEqual(heard, ["one"]);
});
