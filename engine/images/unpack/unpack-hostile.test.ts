import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { hasCode } from "../../errors.ts";
import type { LayerLimits } from "./layer-limits.ts";
import { type FixtureEntry, makeTar, rawTar } from "../layout.fixture.ts";
import { unpackAll, unpackBytes, unpackEntries } from "./unpack.fixture.ts";

const evil: { does: string; entries: FixtureEntry[]; names: RegExp }[] = [
  { does: "a path with ..", entries: [{ name: "../escape", content: "x" }], names: /entry "\.\.\/escape"/ },
  {
    does: "a path that climbs out later",
    entries: [{ name: "a/b/../../../escape", content: "x" }],
    names: /entry "a\/b\/\.\.\/\.\.\/\.\.\/escape"/,
  },
  {
    does: "a hard link to a path with ..",
    entries: [{ name: "passwd", type: "link", linkname: "../../../../etc/passwd" }],
    names: /entry "passwd"/,
  },
  {
    does: "a hard link to the host's file",
    entries: [{ name: "passwd", type: "link", linkname: "/etc/passwd" }],
    names: /entry "passwd".*not there/,
  },
  {
    does: "a hard link through a link",
    entries: [
      { name: "etc", type: "symlink", linkname: "/etc" },
      { name: "passwd", type: "link", linkname: "etc/passwd" },
    ],
    names: /entry "passwd"/,
  },
  { does: "a whiteout of ..", entries: [{ name: "a/.wh..." }], names: /entry "a\/\.wh\.\.\."/ },
  { does: "the root itself as a file", entries: [{ name: "./.", type: "symlink", linkname: "/etc" }], names: /root/ },
  {
    does: "a link that goes in circles",
    entries: [
      { name: "a", type: "symlink", linkname: "b" },
      { name: "b", type: "symlink", linkname: "a" },
      { name: "a/x", content: "" },
    ],
    names: /more than 40 symbolic links/,
  },
  {
    does: "a file below a file",
    entries: [
      { name: "a", content: "" },
      { name: "a/b", content: "" },
    ],
    names: /entry "a\/b": It lies below what is no folder/,
  },
];
for (const { does, entries, names } of evil) {
  test(`Unpacker.unpack() refuses ${does}`, async (t) => {
    const host = await mkdtemp(join(tmpdir(), "peapod-host-"));
    t.after(() => rm(host, { recursive: true, force: true }));
    const aimed = entries.map((entry) => (entry.linkname === "HOST" ? { ...entry, linkname: host } : entry));
    await assert.rejects(
      unpackEntries(t, aimed),
      (error) => hasCode(error, "IMAGE_INVALID") && names.test(error.message) && error.message.includes("layer x"),
    );
    assert.deepEqual(await readdir(host), []);
  });
}

test("Unpacker.unpack() follows links as a container would: never out of the layer", async (t) => {
  const host = await mkdtemp(join(tmpdir(), "peapod-host-"));
  t.after(() => rm(host, { recursive: true, force: true }));
  await writeFile(join(host, "passwd"), "the host's");
  const { folder, base } = await unpackEntries(t, [
    { name: "absolute", type: "symlink", linkname: host },
    { name: "absolute/escape", content: "x" },
    { name: "absolute/folder/", type: "directory" },
    { name: "absolute/device", type: "character-device", devmajor: 1, devminor: 3 },
    { name: "absolute/.wh.passwd" },
    { name: "d/climbing", type: "symlink", linkname: "../../../.." },
    { name: "d/climbing/climbed", content: "x" },
    { name: "up", type: "symlink", linkname: ".." },
    { name: "two", type: "symlink", linkname: "up/escaped" },
    { name: "two/x", content: "x" },
  ]);
  assert.deepEqual(await readdir(host), ["passwd"]);
  assert.deepEqual((await readdir(base)).toSorted(), ["0.tar", "l", "layer0"]);
  assert.deepEqual((await readdir(join(folder, host))).toSorted(), ["device", "escape", "folder"]);
  assert.deepEqual((await readdir(folder)).toSorted(), ["absolute", "climbed", "d", "escaped", "tmp", "two", "up"]);
});

test("Unpacker.unpack() makes no device or pipe of an archive that is no layer, and leaves its whiteouts alone", async (t) => {
  for (const type of ["fifo", "character-device", "block-device"]) {
    const made = unpackAll(t, [await makeTar([{ name: "index.json", type, devmajor: 1, devminor: 5 }])], { purpose: "files" });
    await assert.rejects(made, (error) => hasCode(error, "IMAGE_INVALID") && /"index\.json": It is a device or a pipe/.test(error.message));
  }
  const { folder } = await unpackAll(t, [await makeTar([{ name: ".wh.x", content: "x" }])], { purpose: "files" });
  assert.deepEqual(await readdir(folder), [".wh.x"]);
});

test("Unpacker.unpack() refuses what is broken, cut off, no tar, or too much", async (t) => {
  const tar = await makeTar([{ name: "f", content: "x".repeat(10_000) }]);
  const invalid = (error: unknown) => hasCode(error, "IMAGE_INVALID");
  await assert.rejects(unpackBytes(t, gzipSync(tar).subarray(0, 40)), invalid);
  await assert.rejects(unpackBytes(t, tar.subarray(0, 5_000)), /cut off/);
  await assert.rejects(unpackBytes(t, Buffer.from("no tar".repeat(500))), /no tar archive/);
  await assert.rejects(unpackBytes(t, tar, { bytes: 9_999 }), /more than 9999 bytes/);
  await assert.rejects(unpackBytes(t, await makeTar([{ name: "a" }, { name: "b" }]), { entries: 1 }), /more than 1 entries/);
});

const chain = (length: number, fan: number): FixtureEntry[] => [
  { name: "d/", type: "directory" },
  ...[...Array(length).keys()].map((index) => ({
    name: `d/l${index}`,
    type: "symlink",
    linkname: `/d${`/l${index + 1}`.repeat(fan)}`,
  })),
  { name: `d/l${length}`, type: "symlink", linkname: "/d" },
];

const costly: { does: string; layers: () => Promise<Buffer[]>; limits?: Partial<LayerLimits>; says: RegExp }[] = [
  {
    does: "links that double their way at each step",
    layers: async () => [await makeTar([...chain(30, 2), { name: "d/l0/x", content: "x" }])],
    says: /entry "d\/l0\/x": It goes through more than 40 symbolic links/,
  },
  {
    does: "many entries by long ways round",
    layers: async () => [
      await makeTar([
        { name: "d/", type: "directory" },
        { name: "way", type: "symlink", linkname: "d/../".repeat(200) },
        ...[...Array(50).keys()].map((index) => ({ name: `way/f${index}`, content: "" })),
      ]),
    ],
    limits: { steps: 10_000 },
    says: /entry "way\/f\d+": The layer takes more than 10000 steps/,
  },
  {
    does: "a name that an extended header makes very long",
    layers: async () => [rawTar([{ name: "p", type: "x", sizeBytes: 700_000_000 }])],
    says: /entry "p": It has an extended header of more than 1048576 bytes/,
  },
  {
    does: "a long name of GNU's that is too long",
    layers: async () => [rawTar([{ name: "././@LongLink", type: "L", sizeBytes: 1_048_577 }])],
    says: /an extended header of more than 1048576 bytes/,
  },
  {
    does: "what it has that nobody reads",
    layers: async () => [
      gzipSync(Buffer.concat([rawTar([{ name: "all", type: "g", content: Buffer.alloc(3_000_000) }]), await makeTar([])])),
    ],
    limits: { archiveBytes: 2_000_000 },
    says: /The archive has more than 2000000 bytes/,
  },
  {
    does: "folders upon folders",
    layers: async () => [await makeTar([{ name: `${"a/".repeat(501)}f`, content: "x" }])],
    says: /It lies more than 500 folders deep/,
  },
  {
    does: "folders upon folders, by links",
    layers: async () => [
      await makeTar([
        { name: `${"a/".repeat(400)}`, type: "directory" },
        { name: "deep", type: "symlink", linkname: "a/".repeat(400) },
        { name: `deep/${"b/".repeat(101)}f`, content: "x" },
      ]),
    ],
    says: /It lies more than 500 folders deep/,
  },
  {
    does: "folders that it only implies, without end",
    layers: async () => [await makeTar([{ name: "a/b/c/d/e/f", content: "" }])],
    limits: { entries: 5 },
    says: /more than 5 entries/,
  },
  {
    does: "copies of a file of below, by links to it",
    layers: async () => [
      await makeTar([{ name: "big", content: Buffer.alloc(600) }]),
      await makeTar([
        { name: "one", type: "link", linkname: "big" },
        { name: "two", content: Buffer.alloc(600) },
      ]),
    ],
    limits: { bytes: 1_000 },
    says: /more than 1000 bytes/,
  },
  {
    does: "the same folder emptied again and again",
    layers: async () => [
      await makeTar([...Array(100).keys()].map((index) => ({ name: `d/${index}`, content: "" }))),
      await makeTar([{ name: "d/new", content: "" }, ...Array(100).fill({ name: "d/.wh..wh..opq" }), { name: "../end" }]),
    ],
    limits: { steps: 350 },
    says: /entry "\.\.\/end"/, // it came that far
  },
  {
    does: "what is replaced again and again by work for each of the others",
    layers: async () => [
      await makeTar([
        ...[...Array(200).keys()].map((index) => ({ name: `d${index}/`, type: "directory" })),
        ...Array(200).fill({ name: "x", content: "" }),
        { name: "../end" },
      ]),
    ],
    limits: { steps: 450 },
    says: /entry "\.\.\/end"/,
  },
];
for (const { does, layers, limits, says } of costly) {
  test(`Unpacker.unpack() has a bound for ${does}`, async (t) => {
    await assert.rejects(unpackAll(t, await layers(), limits === undefined ? {} : { limits }), (error) => {
      assert.ok(hasCode(error, "IMAGE_INVALID"), String(error));
      assert.match(error.message, says);
      return true;
    });
  });
}

test("Unpacker.unpack() replaces a tree that is as deep as a layer may be", async (t) => {
  const lower = await makeTar([{ name: `t/${"a/".repeat(490)}f`, content: "x" }]);
  const { folder } = await unpackAll(t, [lower, await makeTar([{ name: "t", content: "a file" }])]);
  assert.equal(await readFile(join(folder, "t"), "utf8"), "a file");
});
