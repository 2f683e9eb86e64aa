import assert from "node:assert/strict";
import { lstat, mkdtemp, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Scope, silentLogger } from "@peapod/kit";
import { removeTree } from "../linux/remove-tree.ts";
import { chainIds } from "./layer-chain.ts";
import { digestOf, makeTar, writeLayout } from "./layout.fixture.ts";
import { openImages } from "./open-images.ts";

const never = new AbortController().signal;

async function setUp(scope: Scope) {
  const folder = await mkdtemp(join(tmpdir(), "peapod-import-"));
  scope.defer(() => removeTree(folder));
  const used = new Set<string>();
  const dirs = { stateDir: join(folder, "state"), runDir: join(folder, "run") };
  const open = () => openImages({ ...dirs, log: silentLogger, scope, inUse: () => used });
  return { folder, used, open, images: await open(), layersDir: join(dirs.stateDir, "images/layers"), ...dirs };
}

test("chainIds() names layers as OCI's image specification does", () => {
  assert.deepEqual(chainIds([]), []);
  // By the specification's formula, with sha256sum.
  const [a, b] = ["a", "b"].map((text) => digestOf(Buffer.from(text)));
  assert.deepEqual(chainIds([a ?? "", b ?? "", a ?? ""]), [
    "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    digestOf(Buffer.from(`${a} ${b}`)),
    digestOf(Buffer.from(`${digestOf(Buffer.from(`${a} ${b}`))} ${a}`)),
  ]);
});

const base = await makeTar([
  { name: "bin", type: "symlink", linkname: "usr/bin" },
  { name: "usr/bin/sh", content: "sh", mode: 0o755 },
  { name: "tmp/", type: "directory", mode: 0o1777 },
  { name: "home/app/", type: "directory", mode: 0o700, uid: 1234, gid: 1234 },
]);
const top = await makeTar([
  { name: "tmp/added", content: "x" },
  { name: "home/app/z", content: "z" },
  { name: "bin/tool", content: "tool" },
  { name: "hard", type: "link", linkname: "bin/sh" },
]);

test("loadImages() unpacks a layer on top of those below it", async () => {
  await using scope = new Scope();
  const { folder, images } = await setUp(scope);
  await writeLayout(join(folder, "1"), [{ name: "x:1", layers: [base, top] }]);
  const [image] = await images.loadImages(join(folder, "1"), {}, never);
  const root = await images.mountRootfs(image?.id ?? "", "k", never);
  scope.defer(() => images.removeRootfs("k", never));
  const facts = async (path: string) => {
    const { mode, uid, gid } = await lstat(join(root, path));
    return [mode & 0o7777, uid, gid];
  };
  assert.deepEqual(
    [await facts("tmp"), await facts("home/app")],
    [
      [0o1777, 0, 0],
      [0o700, 1234, 1234],
    ],
  );
  assert.equal((await lstat(join(root, "bin"))).isSymbolicLink(), true);
  assert.deepEqual((await readdir(join(root, "usr/bin"))).toSorted(), ["sh", "tool"]);
  assert.equal(await readFile(join(root, "hard"), "utf8"), "sh");
});

test("images that are loaded at once unpack the layers that they share once; the same layer on top of others is another", async () => {
  await using scope = new Scope();
  const { folder, images, layersDir } = await setUp(scope);
  const other = await makeTar([{ name: "tmp/", type: "directory", mode: 0o755, uid: 7 }]);
  const added = await makeTar([{ name: "tmp/added", content: "x" }]);
  const made = { "1": [base, added], "2": [base, added, other], "3": [other, added] };
  for (const [name, layers] of Object.entries(made)) await writeLayout(join(folder, name), [{ name: `x:${name}`, layers }]);
  const loaded = await Promise.all(Object.keys(made).map((name) => images.loadImages(join(folder, name), {}, never)));
  assert.equal((await readdir(layersDir)).length, 5);
  assert.deepEqual(
    (await readdir(layersDir)).toSorted(),
    [
      ...new Set(
        [
          [base, added, other],
          [other, added],
        ]
          .flatMap((layers) => chainIds(layers.map(digestOf)))
          .map((id) => id.slice(7)),
      ),
    ].toSorted(),
  );
  const owner = async (index: number) => {
    const root = await images.mountRootfs(loaded[index]?.[0]?.id ?? "", `k${index}`, never);
    scope.defer(() => images.removeRootfs(`k${index}`, never));
    return (await lstat(join(root, "tmp"))).uid;
  };
  assert.deepEqual([await owner(0), await owner(1), await owner(2)], [0, 7, 7]);
});

test("an image that is aborted midway leaves the layers that another waits for to it", async () => {
  await using scope = new Scope();
  const { folder, images, stateDir } = await setUp(scope);
  const big = await makeTar([{ name: "big", content: Buffer.alloc(20_000_000) }]);
  await writeLayout(join(folder, "1"), [{ name: "x:1", layers: [big, top] }]);
  await writeLayout(join(folder, "2"), [{ name: "y:1", layers: [big] }]);
  const stop = new AbortController();
  const first = images.loadImages(join(folder, "1"), {}, stop.signal);
  const second = images.loadImages(join(folder, "2"), {}, never);
  stop.abort();
  await assert.rejects(first, (error) => error === stop.signal.reason);
  assert.deepEqual((await second)[0]?.repoTags, ["docker.io/library/y:1"]);
  assert.deepEqual(await readdir(join(stateDir, "images/tmp")), []);
});

/** Makes of a store what an engine that unpacked each layer by itself would have left. */
async function age(stateDir: string, layers: readonly Buffer[], id: string): Promise<void> {
  const imagesDir = join(stateDir, "images");
  const [diffIds, ids] = [layers.map(digestOf), chainIds(layers.map(digestOf))];
  for (const [index, chainId] of ids.entries()) {
    const diffId = diffIds[index] ?? "";
    const path = join(imagesDir, "layers", chainId.slice(7));
    await writeFile(join(path, "layer.json"), JSON.stringify({ diffId, sizeBytes: 1, blobDigest: digestOf(Buffer.from(diffId)) }));
    if (index > 0) await rename(path, join(imagesDir, "layers", diffId.slice(7)));
  }
  const recordPath = join(imagesDir, "images", `${id.slice(7)}.json`);
  const { layers: _ids, ...record } = JSON.parse(await readFile(recordPath, "utf8")) as Record<string, unknown>;
  await writeFile(recordPath, JSON.stringify({ ...record, diffIds }));
  await removeTree(join(imagesDir, "l"));
}

test("an image of an engine that unpacked layers by themselves stays where it can be right, and else only for who uses it", async () => {
  await using scope = new Scope();
  const { folder, images, used, open, layersDir, stateDir } = await setUp(scope);
  await writeLayout(join(folder, "1"), [{ name: "one:1", layers: [base] }]);
  await writeLayout(join(folder, "2"), [{ name: "two:1", layers: [base, top] }]);
  const [one] = await images.loadImages(join(folder, "1"), {}, never);
  const [two] = await images.loadImages(join(folder, "2"), {}, never);
  assert.ok(one !== undefined && two !== undefined);
  used.add(two.id);
  await age(stateDir, [base], one.id);
  await age(stateDir, [base, top], two.id);
  await writeFile(join(layersDir, digestOf(top).slice(7), "diff/of-before"), "");

  const later = await open();
  assert.deepEqual((await later.imageStatus("one:1", never))?.id, one.id, "one layer is the same by itself");
  assert.equal(await later.imageStatus("two:1", never), undefined, "to be brought anew");
  const before = await later.mountRootfs(two.id, "running", never);
  scope.defer(() => later.removeRootfs("running", never));
  assert.ok((await readdir(before)).includes("of-before"));
  assert.deepEqual(await later.prune({ all: true }), { deleted: [one.id], freedBytes: 0 }, "a container stands on it");

  await later.loadImages(join(folder, "2"), {}, never);
  assert.equal((await later.imageStatus("two:1", never))?.id, two.id);
  const anew = await later.mountRootfs(two.id, "new", never);
  scope.defer(() => later.removeRootfs("new", never));
  assert.equal((await readdir(anew)).includes("of-before"), false);
  assert.equal((await lstat(join(anew, "tmp"))).mode & 0o7777, 0o1777);
  await later.prune({ all: false });
  assert.ok((await readdir(before)).includes("of-before"), "what a container stands on stays");
  used.clear();
  await later.removeRootfs("running", never);
  const { freedBytes } = await later.prune({ all: false });
  assert.equal(freedBytes, 1);
  assert.deepEqual(
    (await readdir(layersDir)).toSorted(),
    chainIds([base, top].map(digestOf))
      .map((id) => id.slice(7))
      .toSorted(),
  );
});
