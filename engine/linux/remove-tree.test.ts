import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nestFolders } from "./nested-folders.fixture.ts";
import { removeTree } from "./remove-tree.ts";

function folder(t: { after(release: () => Promise<void>): void }): string {
  const path = mkdtempSync(join(tmpdir(), "peapod-remove-"));
  t.after(() => removeTree(path));
  return path;
}

test("removeTree() removes folders nested deeper than any path can name", async (t) => {
  const top = folder(t);
  await nestFolders(top, t.signal);
  await removeTree(top);
  assert.equal(existsSync(top), false);
});

test("removeTree() follows no link, out of the tree or in its own place", async (t) => {
  const outside = folder(t);
  writeFileSync(join(outside, "kept"), "");
  const top = join(folder(t), "top");
  mkdirSync(top);
  symlinkSync(outside, join(top, "link"));
  await removeTree(top);
  symlinkSync(outside, top);
  await removeTree(top);
  assert.equal(existsSync(top), false);
  assert.ok(existsSync(join(outside, "kept")));
});

test("removeTree() takes what is gone as removed, and what begins with a dash as a name", async (t) => {
  const top = folder(t);
  await removeTree(join(top, "none"));
  await removeTree(join(top, "none/below"));
  mkdirSync(join(top, "-r/in"), { recursive: true });
  await removeTree(join(top, "-r"));
  assert.equal(existsSync(join(top, "-r")), false);
});
