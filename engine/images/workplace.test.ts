import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Cleanups, eventually, Scope, silentLogger, systemClock } from "@peapod/kit";
import { mount, unmount } from "../linux/libc.ts";
import { nestFolders } from "../linux/nested-folders.fixture.ts";
import { removeTree } from "../linux/remove-tree.ts";
import { Workplace } from "./workplace.ts";

async function setUp(scope: Scope) {
  const folder = await mkdtemp(join(tmpdir(), "peapod-workplace-"));
  scope.defer(() => removeTree(folder));
  const soon = { ...systemClock, sleep: (_ms: number, signal: AbortSignal) => systemClock.sleep(1, signal) };
  const cleanups = new Cleanups({ clock: soon, log: silentLogger, signal: scope.signal });
  const dir = join(folder, "tmp");
  await mkdir(dir);
  return { folder, dir, open: () => Workplace.open(dir, cleanups) };
}

test("Workplace.open() empties it, however deep, and goes on where something cannot be removed yet", async (t) => {
  await using scope = new Scope();
  const { dir, open } = await setUp(scope);
  for (const name of ["deep", "busy"]) await mkdir(join(dir, name, "in"), { recursive: true });
  await writeFile(join(dir, "file"), "");
  await nestFolders(join(dir, "deep"), t.signal);
  mount(join(dir, "busy/in"), { source: "tmpfs", type: "tmpfs" });
  await writeFile(join(dir, "busy/in/kept"), "");
  const workplace = await open();
  assert.deepEqual(await readdir(dir), ["busy"]);
  assert.ok(existsSync(join(dir, "busy/in/kept")), "what is mounted is not touched");
  {
    await using made = await workplace.makeFolder();
    await nestFolders(made.path, t.signal);
  }
  unmount(join(dir, "busy/in"));
  await eventually(async () => assert.deepEqual(await readdir(dir), []), { withinMs: 5_000 });
});

test("Workplace.discard() takes a thing from its place, and Workplace.discardLeftover() leaves it where somebody wants it", async () => {
  await using scope = new Scope();
  const { folder, dir, open } = await setUp(scope);
  const workplace = await open();
  const place = join(folder, "thing");
  await workplace.discard(place);
  await mkdir(join(place, "in"), { recursive: true });
  await workplace.discardLeftover(place, async () => true);
  assert.ok(existsSync(place));
  await workplace.discardLeftover(place);
  await writeFile(place, "");
  await workplace.discard(place);
  assert.equal(existsSync(place), false);
  assert.deepEqual(await readdir(dir), []);
  mount(dir, { source: "tmpfs", type: "tmpfs" });
  scope.defer(() => void unmount(dir));
  await mkdir(join(place, "in"), { recursive: true });
  await workplace.discard(place);
  assert.equal(existsSync(place), false, "from another file system, too");
});
