import assert from "node:assert/strict";
import fs from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { eventually, Scope, systemClock } from "@peapod/kit";
import { followFile } from "./follow-file.ts";

const WITHIN = { withinMs: 5_000 };

/** Follows a file of its own that says "one", and keeps what it tells. */
async function follow(t: TestContext) {
  const scope = new Scope();
  t.after(() => scope[Symbol.asyncDispose]());
  const folder = await mkdtemp(join(tmpdir(), "ambassador-follow-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "file");
  await writeFile(path, "one");
  const texts: string[] = [];
  const missing: string[] = [];
  const onChange = async (text: string): Promise<void> => void texts.push(text);
  const onMissing = (cause: Error): void => void missing.push(cause.message);
  const stop = new AbortController();
  const ended = followFile({ path, known: "one", clock: systemClock, onChange, onMissing }, stop.signal);
  scope.defer(async () => {
    stop.abort();
    await ended;
  });
  return { folder, path, texts, missing };
}

test("followFile() tells each new text once, and nothing when the same is written again", async (t) => {
  const { path, texts } = await follow(t);
  await writeFile(path, "one");
  await writeFile(path, "two");
  await eventually(() => texts.length > 0, WITHIN);
  await writeFile(path, "three");
  await eventually(() => texts.length > 1, WITHIN);
  assert.deepEqual(texts, ["two", "three"]);
});

test("followFile() waits until a text that is being written has settled", async (t) => {
  const { path, texts } = await follow(t);
  let text = "";
  for (const piece of ["half ", "of it ", "and the rest"]) {
    text += piece;
    await writeFile(path, text); // no pause: each reading sees another text than the one before
  }
  await eventually(() => texts.length > 0, WITHIN);
  assert.deepEqual(texts, [text]);
});

test("followFile() tells once that the file is missing, and goes on when it is back, also in a folder that was made anew", async (t) => {
  const { folder, path, texts, missing } = await follow(t);
  await rm(folder, { recursive: true });
  await eventually(() => missing.length > 0, WITHIN);
  await mkdir(folder);
  await writeFile(path, "back");
  await eventually(() => texts.length > 0, WITHIN);
  assert.deepEqual([texts, missing.length], [["back"], 1]);
});

test("followFile() reads a few times a second, however much is written beside the file", async (t) => {
  const { folder } = await follow(t);
  const open = t.mock.method(fs, "openSync");
  syncBuiltinESMExports();
  const startedMs = performance.now();
  for (let count = 0; count < 300; count += 1) await writeFile(join(folder, "log"), `${count}`);
  const seconds = (performance.now() - startedMs) / 1000;
  open.mock.restore();
  syncBuiltinESMExports();
  assert.ok(open.mock.callCount() <= 2 + 10 * seconds, `${open.mock.callCount()} in ${seconds} s`);
});
