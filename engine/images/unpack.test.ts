import assert from "node:assert/strict";
import { lstat, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import koffi from "koffi";
import { hasCode } from "../errors.ts";
import { digestOf, type FixtureEntry, makeTar } from "./layout-fixture.ts";
import { unpack } from "./unpack.ts";

const signal = new AbortController().signal;

async function unpackBytes(t: TestContext, bytes: Uint8Array, limits?: { entries: number; bytes: number }) {
  const base = await mkdtemp(join(tmpdir(), "peapod-unpack-"));
  t.after(() => rm(base, { recursive: true, force: true }));
  const archive = join(base, "layer.tar");
  await writeFile(archive, bytes);
  const folder = join(base, "diff");
  const result = await unpack(archive, { folder, what: "layer x", signal, ...(limits === undefined ? {} : { limits }) });
  return { ...result, folder, base };
}

const unpackEntries = async (t: TestContext, entries: FixtureEntry[]) => unpackBytes(t, await makeTar(entries));

const getXattr = koffi.load("libc.so.6").func("long lgetxattr(const char *path, const char *name, _Out_ uint8_t *value, size_t size)");

/** An extended attribute in hexadecimal digits; undefined where there is none. */
function xattr(path: string, name: string): string | undefined {
  const value = Buffer.alloc(256);
  const length = Number(getXattr(path, name, value, value.length));
  return length < 0 ? undefined : value.toString("hex", 0, length);
}

test("unpack() writes files, folders and links with owners, modes and times", async (t) => {
  const { folder } = await unpackEntries(t, [
    { name: "./", type: "directory", mode: 0o755 },
    { name: "usr/bin/", type: "directory", mode: 0o751, uid: 3, gid: 4 },
    { name: "usr/bin/su", content: "su", mode: 0o4755, uid: 0, gid: 5 },
    { name: "usr/bin/runuser", type: "link", linkname: "usr/bin/su" },
    { name: "usr/bin/same", type: "link", linkname: "/usr/bin/su" },
    { name: "bin", type: "symlink", linkname: "usr/bin", uid: 7, gid: 8 },
    { name: "bin/through", content: "by a link" },
    { name: "späße/日本", content: "ü" },
    { name: `long/${"x".repeat(200)}/${"y".repeat(200)}`, content: "long" },
    { name: "big-id", content: "", pax: { uid: "3000000", gid: "4000000", mtime: "1700000000.5" } },
  ]);
  const su = await lstat(join(folder, "usr/bin/su"));
  assert.deepEqual([su.mode & 0o7777, su.uid, su.gid, su.nlink, su.mtimeMs], [0o4755, 0, 5, 3, 1_700_000_000_000]);
  const bin = await lstat(join(folder, "usr/bin"));
  assert.deepEqual([bin.mode & 0o7777, bin.uid, bin.gid, bin.mtimeMs], [0o751, 3, 4, 1_700_000_000_000]);
  const link = await lstat(join(folder, "bin"));
  assert.deepEqual([link.isSymbolicLink(), link.uid, link.gid, await readlink(join(folder, "bin"))], [true, 7, 8, "usr/bin"]);
  assert.equal(await readFile(join(folder, "usr/bin/through"), "utf8"), "by a link");
  assert.equal(await readFile(join(folder, "späße/日本"), "utf8"), "ü");
  assert.equal(await readFile(join(folder, "long", "x".repeat(200), "y".repeat(200)), "utf8"), "long");
  const bigId = await lstat(join(folder, "big-id"));
  assert.deepEqual([bigId.uid, bigId.gid, bigId.mtimeMs], [3_000_000, 4_000_000, 1_700_000_000_500]);
});

test("unpack() makes device nodes and whiteouts as overlayfs has them", async (t) => {
  const { folder } = await unpackEntries(t, [
    { name: "null", type: "character-device", devmajor: 1, devminor: 3, mode: 0o666 },
    { name: "disk", type: "block-device", devmajor: 259, devminor: 300, mode: 0o660, gid: 6 },
    { name: "pipe", type: "fifo", mode: 0o622 },
    { name: "etc/.wh.passwd" },
    { name: "var/.wh..wh..opq" },
    { name: "var/kept", content: "kept" },
    { name: ".wh.replaced" },
    { name: "replaced/new", content: "new" },
    { name: ".wh..wh.plnk/1.2", content: "aufs' own" },
  ]);
  const device = async (name: string) => {
    const stat = await lstat(join(folder, name));
    return [
      stat.isCharacterDevice(),
      stat.isBlockDevice(),
      (stat.rdev >> 8) & 0xfff,
      (stat.rdev & 0xff) | ((stat.rdev >> 12) & 0xfff00),
      stat.mode & 0o777,
    ];
  };
  assert.deepEqual(await device("null"), [true, false, 1, 3, 0o666]);
  assert.deepEqual(await device("disk"), [false, true, 259, 300, 0o660]);
  assert.equal((await lstat(join(folder, "pipe"))).isFIFO(), true);
  assert.deepEqual((await device("etc/passwd")).slice(0, 4), [true, false, 0, 0]);
  assert.equal(xattr(join(folder, "var"), "trusted.overlay.opaque"), "79");
  assert.equal(xattr(join(folder, "replaced"), "trusted.overlay.opaque"), "79");
  assert.deepEqual((await readdir(folder)).toSorted(), ["disk", "etc", "null", "pipe", "replaced", "var"]);
});

test("unpack() keeps binary capabilities, and leaves overlayfs' own marks out", async (t) => {
  // cap_net_raw+ep as VFS_CAP_REVISION_2, with bytes that are no UTF-8.
  const capability = Buffer.from("0100000200200000ff00000000000000000000c0".slice(0, 40), "hex");
  const record = (key: string, value: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
    const length = [1, 2, 3].map((digits) => body.length + digits).find((sum, index) => String(sum).length === index + 1);
    return Buffer.concat([Buffer.from(String(length)), body]);
  };
  const pax = Buffer.concat([
    record("SCHILY.xattr.security.capability", capability),
    record("SCHILY.xattr.trusted.overlay.redirect", Buffer.from("/etc")),
    record("SCHILY.xattr.user.note", Buffer.from("hi")),
  ]);
  const header = await makeTar([{ name: "PaxHeaders/ping", content: pax }]);
  header[156] = "x".charCodeAt(0);
  header.fill(" ", 148, 156);
  header.write(
    header
      .subarray(0, 512)
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0") + "\0 ",
    148,
    "latin1",
  );
  const { folder } = await unpackBytes(
    t,
    Buffer.concat([header.subarray(0, 1024), await makeTar([{ name: "ping", content: "ping", mode: 0o755 }])]),
  );
  assert.equal(xattr(join(folder, "ping"), "security.capability"), capability.toString("hex"));
  assert.equal(xattr(join(folder, "ping"), "user.note"), "6869");
  assert.equal(xattr(join(folder, "ping"), "trusted.overlay.redirect"), undefined);
});

test("unpack() lets a later entry replace an earlier one of another kind", async (t) => {
  const { folder } = await unpackEntries(t, [
    { name: "a", content: "file" },
    { name: "a/", type: "directory", mode: 0o700 },
    { name: "a/b", content: "in it" },
    { name: "c/", type: "directory", mode: 0o700 },
    { name: "c/d", content: "lost" },
    { name: "c", type: "symlink", linkname: "a" },
    { name: "c/e", content: "by c" },
    { name: "a/b", content: "again" },
  ]);
  assert.deepEqual(
    [(await readdir(folder)).toSorted(), (await readdir(join(folder, "a"))).toSorted()],
    [
      ["a", "c"],
      ["b", "e"],
    ],
  );
  assert.equal(await readFile(join(folder, "a/b"), "utf8"), "again");
});

const evil: { does: string; entries: FixtureEntry[]; names: RegExp }[] = [
  { does: "a path with ..", entries: [{ name: "../escape", content: "x" }], names: /entry "\.\.\/escape"/ },
  {
    does: "a path that climbs out later",
    entries: [{ name: "a/b/../../../escape", content: "x" }],
    names: /entry "a\/b\/\.\.\/\.\.\/\.\.\/escape"/,
  },
  {
    does: "a file through an absolute link",
    entries: [
      { name: "out", type: "symlink", linkname: "HOST" },
      { name: "out/escape", content: "x" },
    ],
    names: /entry "out\/escape"/,
  },
  {
    does: "a file through a climbing link",
    entries: [
      { name: "d/out", type: "symlink", linkname: "../../.." },
      { name: "d/out/escape", content: "x" },
    ],
    names: /entry "d\/out\/escape"/,
  },
  {
    does: "a file through two links",
    entries: [
      { name: "up", type: "symlink", linkname: ".." },
      { name: "out", type: "symlink", linkname: "up/escape" },
      { name: "out/x", content: "x" },
    ],
    names: /entry "out\/x"/,
  },
  {
    does: "a folder through a link",
    entries: [
      { name: "out", type: "symlink", linkname: "HOST" },
      { name: "out/escape/", type: "directory" },
    ],
    names: /entry "out\/escape/,
  },
  {
    does: "a hard link to a path with ..",
    entries: [{ name: "passwd", type: "link", linkname: "../../../../etc/passwd" }],
    names: /entry "passwd"/,
  },
  {
    does: "a hard link to the host's file",
    entries: [{ name: "passwd", type: "link", linkname: "/etc/passwd" }],
    names: /entry "passwd".*not in the layer/,
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
  {
    does: "a whiteout through a link",
    entries: [{ name: "out", type: "symlink", linkname: "HOST" }, { name: "out/.wh.passwd" }],
    names: /entry "out\/\.wh\.passwd"/,
  },
  {
    does: "a device through a link",
    entries: [
      { name: "out", type: "symlink", linkname: "HOST" },
      { name: "out/escape", type: "character-device", devmajor: 1, devminor: 3 },
    ],
    names: /entry "out\/escape"/,
  },
  { does: "the root itself as a file", entries: [{ name: "./.", type: "symlink", linkname: "/etc" }], names: /root/ },
  {
    does: "a link that goes in circles",
    entries: [
      { name: "a", type: "symlink", linkname: "b" },
      { name: "b", type: "symlink", linkname: "a" },
      { name: "a/x", content: "" },
    ],
    names: /too many symbolic links/,
  },
  {
    does: "a file below a file",
    entries: [
      { name: "a", content: "" },
      { name: "a/b", content: "" },
    ],
    names: /"\/a" is no folder/,
  },
];
for (const { does, entries, names } of evil) {
  test(`unpack() refuses ${does}`, async (t) => {
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

test("unpack() gives both digests, of gzip, zstd (in several frames) and plain archives", async (t) => {
  const tar = await makeTar([{ name: "f", content: "x".repeat(100_000) }]);
  const half = tar.length >> 1;
  const forms = [
    tar,
    gzipSync(tar),
    zstdCompressSync(tar),
    Buffer.concat([zstdCompressSync(tar.subarray(0, half)), zstdCompressSync(tar.subarray(half))]),
  ];
  for (const bytes of forms) {
    const { blobDigest, diffId, sizeBytes } = await unpackBytes(t, bytes);
    assert.deepEqual({ blobDigest, diffId, sizeBytes }, { blobDigest: digestOf(bytes), diffId: digestOf(tar), sizeBytes: 100_000 });
  }
});

test("unpack() refuses what is broken, cut off, no tar, or too much", async (t) => {
  const tar = await makeTar([{ name: "f", content: "x".repeat(10_000) }]);
  const invalid = (error: unknown) => hasCode(error, "IMAGE_INVALID");
  await assert.rejects(unpackBytes(t, gzipSync(tar).subarray(0, 40)), invalid);
  await assert.rejects(unpackBytes(t, tar.subarray(0, 5_000)), /cut off/);
  await assert.rejects(unpackBytes(t, Buffer.from("no tar".repeat(500))), /no tar archive/);
  await assert.rejects(unpackBytes(t, tar, { entries: 10, bytes: 9_999 }), /more than 9999 bytes/);
  await assert.rejects(unpackBytes(t, await makeTar([{ name: "a" }, { name: "b" }]), { entries: 1, bytes: 10 }), /more than 1 entries/);
});

test("unpack() stops when it is aborted", async (t) => {
  const base = await mkdtemp(join(tmpdir(), "peapod-unpack-"));
  t.after(() => rm(base, { recursive: true, force: true }));
  await writeFile(join(base, "a.tar"), await makeTar([{ name: "f", content: Buffer.alloc(50_000_000) }]));
  const stop = new AbortController();
  const work = unpack(join(base, "a.tar"), { folder: join(base, "diff"), what: "layer x", signal: stop.signal });
  stop.abort();
  await assert.rejects(work, (error) => error === stop.signal.reason);
});
