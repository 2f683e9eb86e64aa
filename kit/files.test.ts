import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { isErrno, readTextIfPresent, writeFileAtomic } from "./files.ts";

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "peapod-files-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test("writeFileAtomic() writes and replaces, with the mode asked for, and leaves nothing else", async (t) => {
  const folder = await folderOf(t);
  const path = join(folder, "file");
  await writeFileAtomic(path, "one");
  assert.equal((await stat(path)).mode & 0o777, 0o600, "private unless said otherwise");
  await writeFileAtomic(path, Buffer.from("two"), { mode: 0o640, sync: true });
  assert.equal(await readFile(path, "utf8"), "two");
  assert.equal((await stat(path)).mode & 0o777, 0o640);
  assert.deepEqual(await readdir(folder), ["file"]);
});

test("writeFileAtomic() that fails leaves the old file and no temporary one", async (t) => {
  const folder = await folderOf(t);
  await mkdir(join(folder, "taken", "inside"), { recursive: true });
  await assert.rejects(writeFileAtomic(join(folder, "taken"), "text"), (error) => isErrno(error, "EISDIR", "ENOTEMPTY"));
  await writeFile(join(folder, "kept"), "old");
  const unwritable = { toString: () => "no content" } as unknown as string; // a programmer's mistake, after the file is open
  await assert.rejects(writeFileAtomic(join(folder, "kept"), unwritable), TypeError);
  assert.equal(await readFile(join(folder, "kept"), "utf8"), "old");
  assert.deepEqual((await readdir(folder)).toSorted(), ["kept", "taken"]);
  await assert.rejects(writeFileAtomic(join(folder, "missing", "file"), "text"), (error) => isErrno(error, "ENOENT"));
});

test("writeFileAtomic() shows a reader the old or the new, never half, with several writing at once", async (t) => {
  const folder = await folderOf(t);
  const path = join(folder, "file");
  const contents = ["a", "b", "c"].map((letter) => letter.repeat(300_000));
  await writeFileAtomic(path, contents[0] ?? "");
  let isWriting = true;
  const seen = new Set<string>();
  const reader = (async () => {
    while (isWriting) {
      const text = await readFile(path, "utf8");
      assert.ok(contents.includes(text), `half a file: ${text.length} bytes`);
      seen.add(text.slice(0, 1));
    }
  })();
  for (let round = 0; round < 15; round++) await Promise.all(contents.map((content) => writeFileAtomic(path, content)));
  isWriting = false;
  await reader;
  assert.ok(seen.size > 1);
  assert.deepEqual(await readdir(folder), ["file"]);
});

test("readTextIfPresent() tells a missing file from one that cannot be read", async (t) => {
  const folder = await folderOf(t);
  assert.equal(await readTextIfPresent(join(folder, "nothing")), undefined);
  await writeFile(join(folder, "empty"), "");
  assert.equal(await readTextIfPresent(join(folder, "empty")), "");
  await assert.rejects(readTextIfPresent(folder), (error) => isErrno(error, "EISDIR"));
});

test("isErrno() knows system errors by code", () => {
  const error = Object.assign(new Error("x"), { code: "ENOENT" });
  assert.equal(isErrno(error, "EEXIST", "ENOENT"), true);
  assert.equal(isErrno(error, "EEXIST"), false);
  assert.equal(isErrno({ code: "ENOENT" }, "ENOENT"), false);
  assert.equal(isErrno(new Error("ENOENT"), "ENOENT"), false);
});
