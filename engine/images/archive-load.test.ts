import assert from "node:assert/strict";
import { constants } from "node:fs";
import { mkdir, mkdtemp, readdir, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Scope, silentLogger } from "@peapod/kit";
import { hasCode } from "../errors.ts";
import { makeNode } from "../linux/libc.ts";
import { removeTree } from "../linux/remove-tree.ts";
import { configFor, makeTar, writeLayout } from "./layout.fixture.ts";
import { openImages } from "./open-images.ts";

const never = new AbortController().signal;

async function setUp(scope: Scope) {
  const folder = await mkdtemp(join(tmpdir(), "peapod-load-"));
  scope.defer(() => removeTree(folder));
  const dirs = { stateDir: join(folder, "state"), runDir: join(folder, "run") };
  const images = await openImages({ ...dirs, log: silentLogger, scope, inUse: () => new Set() });
  const given = join(folder, "given");
  await mkdir(given);
  return { folder, given, images, ...dirs };
}

const makePipe = (path: string): void => makeNode(path, constants.S_IFIFO | 0o600, 0, 0);

const layer = await makeTar([{ name: "f", content: "x" }]);
const manifest = JSON.stringify([{ Config: "c", RepoTags: ["x:1"], Layers: ["l"] }]);
const device = { type: "character-device", devmajor: 1, devminor: 5 }; // /dev/zero

/** What an archive has in place of one of its files. */
const kinds = { pipe: { type: "fifo" }, device };
const files = ["index.json", "manifest.json", "c", "l"];
for (const [kind, entry] of Object.entries(kinds)) {
  test(`loadImages() opens no ${kind} of an archive, wherever it is`, { timeout: 30_000 }, async () => {
    await using scope = new Scope();
    const { folder, images, stateDir } = await setUp(scope);
    for (const changed of files) {
      const contents = { "manifest.json": manifest, c: configFor({ layers: [layer] }), l: layer };
      const entries = Object.entries(contents).map(([name, content]) => ({ name, content }));
      const archive = join(folder, `${changed}.tar`);
      await writeFile(archive, await makeTar([...entries.filter(({ name }) => name !== changed), { name: changed, ...entry }]));
      await assert.rejects(
        images.loadImages(archive, {}, never),
        (error) => hasCode(error, "IMAGE_INVALID") && error.message.includes(`entry "${changed}": It is a device or a pipe`),
      );
    }
    assert.deepEqual([await images.listImages(), await readdir(join(stateDir, "images/tmp"))], [[], []]);
  });
}

test("loadImages() opens no pipe of a folder, by a link neither", { timeout: 30_000 }, async () => {
  await using scope = new Scope();
  const { given, images } = await setUp(scope);
  for (const name of ["pipe", "layer"]) makePipe(join(given, name));
  await writeFile(join(given, "manifest.json"), manifest);
  await symlink("pipe", join(given, "c"));
  await assert.rejects(images.loadImages(given, {}, never), /it has no file "c"/);
  await writeFile(join(given, "manifest.json"), manifest.replace(`"c"`, `"config"`).replace(`"l"`, `"layer"`));
  await writeFile(join(given, "config"), configFor({ layers: [layer] }));
  await assert.rejects(images.loadImages(given, {}, never), /it has no file "layer"/);
  await writeFile(join(given, "manifest.json"), manifest.replace(`"c"`, `"a\\u0000b"`));
  await assert.rejects(images.loadImages(given, {}, never), /it has no file "a/);
});

test("loadImages() loads neither a pipe nor a device", { timeout: 30_000 }, async () => {
  await using scope = new Scope();
  const { folder, images } = await setUp(scope);
  makePipe(join(folder, "pipe"));
  await symlink("/dev/zero", join(folder, "link"));
  for (const path of [join(folder, "pipe"), join(folder, "link"), "/dev/zero"]) {
    await assert.rejects(
      images.loadImages(path, {}, never),
      (error) => hasCode(error, "IMAGE_INVALID") && /neither a file nor a folder/.test(error.message),
    );
  }
});

test("loadImages() reads of an archive's documents only so much as real ones are", async () => {
  await using scope = new Scope();
  const { given, images } = await setUp(scope);
  await writeFile(join(given, "big"), Buffer.alloc(7 * 1024 * 1024, " "));
  const items = (count: number) => JSON.stringify(Array(count).fill({ Config: "big", RepoTags: null, Layers: [] }));
  await writeFile(join(given, "manifest.json"), items(12));
  await assert.rejects(images.loadImages(given, {}, never), /big is too large for what it should be/);
  await writeFile(join(given, "manifest.json"), items(1_001));
  await assert.rejects(images.loadImages(given, {}, never), /lists more than 1000 images/);
  await writeLayout(given, [{ name: "x:1", layers: Array(501).fill(layer) }]);
  await assert.rejects(images.loadImages(given, {}, never), /x:1 has 501 layers; overlayfs takes 500/);
});
