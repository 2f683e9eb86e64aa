import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Cleanups, Scope, silentLogger, systemClock } from "@peapod/kit";
import { hasCode } from "../errors.ts";
import { mount, unmount } from "../linux/libc.ts";
import { nestFolders } from "../linux/nested-folders.fixture.ts";
import { removeTree } from "../linux/remove-tree.ts";
import { LayerStore } from "./layer-store.ts";
import { RootfsMounts } from "./rootfs.ts";
import { Workplace } from "./workplace.ts";

async function setUp(scope: Scope, layerCount: number, name = "peapod-rootfs-") {
  const folder = await mkdtemp(join(tmpdir(), name));
  scope.defer(() => removeTree(folder));
  const cleanups = new Cleanups({ clock: systemClock, log: silentLogger, signal: scope.signal });
  const workplace = await Workplace.open(join(folder, "images/tmp"), cleanups);
  const layers = await LayerStore.open(join(folder, "images"), workplace);
  const links: string[] = [];
  for (let index = 0; index < layerCount; index += 1) {
    const work = join(folder, `work${index}`);
    await mkdir(join(work, "diff"), { recursive: true });
    await writeFile(join(work, "diff/top"), String(index));
    await writeFile(join(work, `diff/f${index}`), "");
    const id = `sha256:${String(index).padStart(64, "0")}`;
    await layers.add({ id, sizeBytes: 1 }, work);
    links.push(layers.linkOf(id));
  }
  const dirs = { stateDir: folder, runDir: join(folder, "run"), linksDir: layers.linksDir, workplace };
  return { folder, links, mounts: await RootfsMounts.open(dirs), dirs };
}

test("RootfsMounts.mount() stacks as many layers as overlayfs takes, the topmost first", async () => {
  await using scope = new Scope();
  const { mounts, links } = await setUp(scope, 501, `peapod-${"long-".repeat(20)}`);
  const root = await mounts.mount("all", links.slice(0, 500));
  assert.equal(await readFile(join(root, "top"), "utf8"), "499");
  assert.equal((await readdir(root)).length, 501);
  await mounts.remove("all");
  await assert.rejects(mounts.mount("more", links), (error) => hasCode(error, "IMAGE_INVALID") && /501 layers/.test(error.message));
  assert.deepEqual(await mounts.list(), []);
});

test("RootfsMounts.mount() leaves the working directory as it was, and survives its loss", async () => {
  await using scope = new Scope();
  const { mounts, links } = await setUp(scope, 2);
  const before = process.cwd();
  await mounts.mount("one", links);
  assert.equal(process.cwd(), before);
  await mounts.remove("one");
  const lost = await mkdtemp(join(tmpdir(), "peapod-lost-"));
  process.chdir(lost);
  await rm(lost, { recursive: true });
  try {
    await mounts.mount("two", links);
    await mounts.remove("two");
  } finally {
    process.chdir(before);
  }
});

test("RootfsMounts.mount() starts anew where a reboot took the mount away", async () => {
  await using scope = new Scope();
  const { mounts, links } = await setUp(scope, 1);
  const root = await mounts.mount("key", links);
  await writeFile(join(root, "written"), "before");
  assert.equal(unmount(root), true);
  assert.deepEqual(await mounts.list(), ["key"]);
  assert.equal(await mounts.mount("key", links), root);
  assert.deepEqual((await readdir(root)).toSorted(), ["f0", "top"]);
  await mounts.remove("key");
});

test("RootfsMounts.mount() says so where the state directory cannot carry an overlay", async () => {
  await using scope = new Scope();
  const { mounts, links, folder, dirs } = await setUp(scope, 1);
  const below = await mounts.mount("below", links);
  scope.defer(() => mounts.remove("below"));
  const on = { stateDir: join(below, "state"), runDir: join(folder, "run2") };
  const layers = await LayerStore.open(join(on.stateDir, "images"), dirs.workplace);
  const stacked = await RootfsMounts.open({ ...dirs, ...on, linksDir: layers.linksDir });
  await assert.rejects(stacked.mount("key", []), (error) => hasCode(error, "MACHINE_LACKS") && /PEAPOD_STATE_DIR/.test(error.message));
  assert.deepEqual(await stacked.list(), []);
});

test("RootfsMounts.remove() takes away what was mounted over a root, and refuses a key that is a path", async () => {
  await using scope = new Scope();
  const { mounts, links } = await setUp(scope, 1);
  const root = await mounts.mount("key", links);
  mount(root, { source: "tmpfs", type: "tmpfs" });
  await mounts.remove("key");
  await mounts.remove("key");
  assert.doesNotMatch(await readFile("/proc/mounts", "utf8"), new RegExp(root));
  await assert.rejects(mounts.remove("../key"), /cannot be a file name/);
});

test("RootfsMounts.remove() is done with what nothing can walk by its path, and with what cannot be removed yet", async (t) => {
  await using scope = new Scope();
  const { mounts, links, folder } = await setUp(scope, 1);
  await nestFolders(await mounts.mount("deep", links), t.signal);
  await mounts.remove("deep");
  assert.deepEqual(await readdir(join(folder, "images/tmp")), []);
  await mkdir(join(await mounts.mount("busy", links), "mounted"));
  const below = join(folder, "rootfs/busy/upper/mounted");
  mount(below, { source: "tmpfs", type: "tmpfs" });
  await mounts.remove("busy");
  assert.deepEqual(await mounts.list(), []);
  const [left = "none"] = await readdir(join(folder, "images/tmp"));
  assert.deepEqual(await readdir(await mounts.mount("busy", links)), ["f0", "top"], "its name is free at once");
  await mounts.remove("busy");
  unmount(join(folder, "images/tmp", left, "upper/mounted"));
});
