import assert from "node:assert/strict";
import { link, mkdtemp, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nestFolders } from "../linux/nested-folders.fixture.ts";
import { removeTree } from "../linux/remove-tree.ts";
import { sumFiles } from "./disk-usage.ts";

test("sumFiles() counts each file once, however deep, and follows no link", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "peapod-usage-"));
  t.after(() => removeTree(folder));
  await nestFolders(folder, t.signal); // its file is empty
  assert.equal(await sumFiles(folder, t.signal), 0);
  await writeFile(join(folder, "a\n0 9"), "12345");
  await writeFile(join(folder, "b"), "12345");
  await link(join(folder, "b"), join(folder, "c"));
  await symlink("/etc", join(folder, "etc"));
  assert.equal(await sumFiles(folder, t.signal), 10);
});
