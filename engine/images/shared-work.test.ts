import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedWork } from "./shared-work.ts";

const never = new AbortController().signal;

/** Work that ends when it is told to, and says when it was aborted. */
function controlled() {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const starts: AbortSignal[] = [];
  const work = (signal: AbortSignal): Promise<string> => {
    starts.push(signal);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    return promise;
  };
  return { work, starts, finish: resolve, fail: reject };
}

test("SharedWork.do() works once for all who ask, and anew afterwards", async () => {
  const shared = new SharedWork<string>(never);
  const job = controlled();
  const asked = [shared.do("k", never, job.work), shared.do("k", never, job.work), shared.do("other", never, async () => "b")];
  job.finish("a");
  assert.deepEqual(await Promise.all(asked), ["a", "a", "b"]);
  assert.equal(job.starts.length, 1);
  assert.equal(await shared.do("k", never, async () => "c"), "c");
});

test("SharedWork.do() ends the work when the last one leaves, and not before", async () => {
  const shared = new SharedWork<string>(never);
  const job = controlled();
  const stops = [new AbortController(), new AbortController()];
  const asked = stops.map(({ signal }) => shared.do("k", signal, job.work));
  for (const one of asked) one.catch(() => {});
  stops[0]?.abort("first");
  await assert.rejects(asked[0] ?? never.reason, (reason) => reason === "first");
  assert.equal(job.starts[0]?.aborted, false);
  stops[1]?.abort("second");
  assert.equal(job.starts[0]?.aborted, true);
  const next = shared.do("k", never, async () => "anew");
  await assert.rejects(asked[1] ?? never.reason, (reason) => reason === "second");
  assert.equal(await next, "anew");
});

test("SharedWork.do() hands a failure to all, and the parent's end to the work", async () => {
  const parent = new AbortController();
  const shared = new SharedWork<string>(parent.signal);
  const [failing, ended] = [controlled(), controlled()];
  const asked = [shared.do("k", never, failing.work), shared.do("k", never, failing.work), shared.do("l", never, ended.work)];
  for (const one of asked) one.catch(() => {});
  failing.fail(new Error("no"));
  parent.abort(new Error("closing"));
  await shared.idle();
  const results = await Promise.allSettled(asked);
  assert.deepEqual(
    results.map((result) => (result.status === "rejected" ? String(result.reason) : "")),
    ["Error: no", "Error: no", "Error: closing"],
  );
});
