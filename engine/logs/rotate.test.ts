import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { type Clock, silentLogger } from "@peapod/kit";
import { type OpenLog, rotateLog, rotateLogs } from "./rotate.ts";

const policy = { maxSizeBytes: 100, maxFiles: 4 };

test("rotateLog() leaves a small log alone", async (t) => {
  const { log, directory } = await aLog(t, "x".repeat(99));
  assert.equal(await rotateLog(log, { policy, reopen: neverReopens, clock: clockAt(0) }, signal), false);
  assert.deepEqual(await readdir(directory), ["0.log"]);
});

test("rotateLog() renames, reopens, compresses the older and removes the oldest", async (t) => {
  const { log, directory } = await aLog(t, "x".repeat(100));
  for (let round = 0; round < 5; round += 1) {
    const reopen = async (): Promise<void> => await writeFile(log.path, `${round}`.repeat(100));
    assert.equal(await rotateLog(log, { policy, reopen, clock: clockAt(round * 1000) }, signal), true);
  }
  assert.deepEqual((await readdir(directory)).sort(), [
    "0.log",
    "0.log.19700101-000002.gz",
    "0.log.19700101-000003.gz",
    "0.log.19700101-000004",
  ]);
  assert.equal(gunzipSync(await readFile(join(directory, "0.log.19700101-000003.gz"))).toString(), "2".repeat(100));
});

test("rotateLog() takes the rename back where the log cannot be opened anew", async (t) => {
  const { log, directory } = await aLog(t, "x".repeat(100));
  const reopen = async (): Promise<void> => {
    throw new Error("conmon is gone");
  };
  await assert.rejects(rotateLog(log, { policy, reopen, clock: clockAt(0) }, signal), /conmon is gone/);
  assert.deepEqual(await readdir(directory), ["0.log"]);
});

test("rotateLog() clears up after an attempt that died while it compressed", async (t) => {
  const { log, directory } = await aLog(t, "x".repeat(100));
  for (const name of ["0.log.1.tmp", "0.log.1", "0.log.2", "0.log.2.gz"]) await writeFile(join(directory, name), "half");
  await rotateLog(log, { policy, reopen: async () => {}, clock: clockAt(0) }, signal);
  assert.deepEqual((await readdir(directory)).sort(), ["0.log.1.gz", "0.log.19700101-000000", "0.log.2.gz"]);
});

test("rotateLogs() goes on with the next log when one fails, until it is aborted", async (t) => {
  const [bad, good] = [await aLog(t, "x".repeat(100)), await aLog(t, "x".repeat(100))];
  const stop = new AbortController();
  const reopen = async (containerId: string): Promise<void> => {
    if (containerId === good.log.containerId) return stop.abort();
    throw new Error("conmon is gone");
  };
  const list = async (): Promise<OpenLog[]> => [bad.log, good.log];
  await assert.rejects(rotateLogs({ policy, list, reopen, clock: clockAt(0), log: silentLogger }, stop.signal), { name: "AbortError" });
  assert.deepEqual(await readdir(good.directory), ["0.log.19700101-000000"]);
});

const signal = AbortSignal.any([]);

async function neverReopens(): Promise<void> {
  throw new Error("Reopened a log that was not rotated");
}

function clockAt(nowMs: number): Clock {
  return { nowMs: () => nowMs, monotonicMs: () => nowMs, sleep: async (_ms, sleeping) => sleeping.throwIfAborted() };
}

async function aLog(t: TestContext, content: string): Promise<{ log: OpenLog; directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), "peapod-rotate-"));
  t.after(async () => await rm(directory, { recursive: true }));
  const path = join(directory, "0.log");
  await writeFile(path, content);
  return { log: { containerId: directory, path }, directory };
}
