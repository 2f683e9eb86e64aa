import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { lstat, mkdtemp, open, readdir, readFile, readlink, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import koffi from "koffi";
import { hasCode } from "../../errors.ts";
import { digestOf, makeTar, rawTar } from "../layout.fixture.ts";
import { unpackAll, unpackBytes, unpackEntries } from "./unpack.fixture.ts";
import { Unpacker } from "./unpack.ts";

const getXattr = koffi.load("libc.so.6").func("long lgetxattr(const char *path, const char *name, _Out_ uint8_t *value, size_t size)");

/** An extended attribute in hexadecimal digits; undefined where there is none. */
function xattr(path: string, name: string): string | undefined {
  const value = Buffer.alloc(256);
  const length = Number(getXattr(path, name, value, value.length));
  return length < 0 ? undefined : value.toString("hex", 0, length);
}

test("Unpacker.unpack() writes files, folders and links with owners, modes and times", async (t) => {
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

async function device(path: string) {
  const stat = await lstat(path);
  return [
    stat.isCharacterDevice(),
    stat.isBlockDevice(),
    (stat.rdev >> 8) & 0xfff,
    (stat.rdev & 0xff) | ((stat.rdev >> 12) & 0xfff00),
    stat.mode & 0o777,
  ];
}

const isWhiteout = async (path: string) => (await device(path)).slice(0, 4).join() === "true,false,0,0";

test("Unpacker.unpack() makes device nodes, and takes away what lies below, whatever the order", async (t) => {
  const lower = await makeTar([
    { name: "etc/passwd", content: "p" },
    { name: "var/", type: "directory", mode: 0o750, uid: 3 },
    { name: "var/old", content: "o" },
    { name: "var/kept", content: "of below" },
    { name: "replaced/", type: "directory", mode: 0o777, uid: 3 },
    { name: "replaced/deep/old", content: "o" },
    { name: "native", content: "n" },
  ]);
  const upper = await makeTar([
    { name: "null", type: "character-device", devmajor: 1, devminor: 3, mode: 0o666 },
    { name: "disk", type: "block-device", devmajor: 259, devminor: 300, mode: 0o660, gid: 6 },
    { name: "pipe", type: "fifo", mode: 0o622 },
    { name: "etc/.wh.passwd" },
    { name: "etc/.wh.never-there" },
    { name: "no/such/.wh.folder" },
    { name: "var/kept", content: "kept" },
    { name: "var/.wh..wh..opq" },
    { name: "replaced/new", content: "new" },
    { name: ".wh.replaced" },
    { name: "native", type: "character-device", devmajor: 0, devminor: 0 },
    { name: ".wh..wh.plnk/1.2", content: "aufs' own" },
  ]);
  const { folder } = await unpackAll(t, [lower, upper]);
  assert.deepEqual(await device(join(folder, "null")), [true, false, 1, 3, 0o666]);
  assert.deepEqual(await device(join(folder, "disk")), [false, true, 259, 300, 0o660]);
  assert.equal((await lstat(join(folder, "pipe"))).isFIFO(), true);
  for (const gone of ["etc/passwd", "var/old", "replaced/deep", "native"]) assert.ok(await isWhiteout(join(folder, gone)), gone);
  assert.equal(await readFile(join(folder, "var/kept"), "utf8"), "kept");
  assert.equal(await readFile(join(folder, "replaced/new"), "utf8"), "new");
  const [opaque, replaced] = [await lstat(join(folder, "var")), await lstat(join(folder, "replaced"))];
  assert.deepEqual([opaque.mode & 0o7777, opaque.uid], [0o750, 3], "an opaque folder is the one of below");
  assert.deepEqual([replaced.mode & 0o7777, replaced.uid], [0o755, 0], "one that was taken away is another");
  assert.deepEqual((await readdir(folder)).toSorted(), ["disk", "etc", "native", "null", "pipe", "replaced", "var"]);
});

test("Unpacker.unpack() leaves what a layer only implies as it is below: owners, modes, links", async (t) => {
  const lower = await makeTar([
    { name: "./", type: "directory", mode: 0o711, uid: 9 },
    { name: "tmp/", type: "directory", mode: 0o1777 },
    { name: "data/", type: "directory", mode: 0o2770, uid: 1234, gid: 555 },
    { name: "lib", type: "symlink", linkname: "usr/lib" },
    { name: "usr/lib/a", content: "a" },
    { name: "run", type: "symlink", linkname: "../../../var/run" },
    { name: "etc/passwd", content: "root", mode: 0o640, gid: 42 },
  ]);
  const upper = await makeTar([
    { name: "tmp/added", content: "x" },
    { name: "data/added", content: "y" },
    { name: "lib/b", content: "b" },
    { name: "run/app/pid", content: "1" },
    { name: "hard", type: "link", linkname: "etc/passwd" },
  ]);
  const { folder } = await unpackAll(t, [lower, upper]);
  const facts = async (path: string) => {
    const { mode, uid, gid } = await lstat(join(folder, path));
    return [mode & 0o7777, uid, gid];
  };
  assert.deepEqual(await facts("."), [0o711, 9, 0]);
  assert.deepEqual(await facts("tmp"), [0o1777, 0, 0]);
  assert.deepEqual(await facts("data"), [0o2770, 1234, 555]);
  assert.equal(await readFile(join(folder, "usr/lib/b"), "utf8"), "b");
  assert.equal(await readFile(join(folder, "var/run/app/pid"), "utf8"), "1", "a link's folder that is missing is made, below the root");
  await assert.rejects(lstat(join(folder, "lib")), /ENOENT/, "the link of below is not hidden");
  assert.deepEqual([await facts("hard"), await readFile(join(folder, "hard"), "utf8")], [[0o640, 0, 42], "root"]);
});

test("Unpacker.unpack() takes names as bytes", async (t) => {
  const bytes = Buffer.concat([
    rawTar([
      { name: "d\xe9/", type: "5", mode: 0o700 },
      { name: "d\xe9/f\xff", content: Buffer.from("x") },
      { name: "link", type: "2", linkName: "d\xe9" },
      { name: "link/through", content: Buffer.from("y") },
      { name: "hard", type: "1", linkName: "d\xe9/f\xff" },
      { name: "d\xe9/gone" },
      { name: "d\xe9/gone", type: "5" },
    ]),
    await makeTar([]),
  ]);
  const upper = Buffer.concat([
    rawTar([{ name: "d\xe9/.wh.f\xff" }, { name: "\xfe/\x1b[31m", type: "1", linkName: "no\xe9" }]),
    await makeTar([]),
  ]);
  const { folder } = await unpackBytes(t, bytes);
  const names = await readdir(Buffer.from(`${folder}/d\xe9`, "latin1"), { encoding: "latin1" });
  assert.deepEqual(names.toSorted(), ["f\xff", "gone", "through"]);
  assert.equal(await readlink(join(folder, "link"), "latin1"), "d\xe9");
  assert.equal((await lstat(join(folder, "hard"))).nlink, 2);
  await assert.rejects(unpackAll(t, [bytes, upper]), (error) => {
    assert.ok(hasCode(error, "IMAGE_INVALID"));
    assert.match(error.message, /entry "\\xfe\/\\x1b\[31m": It is a hard link to "no\\xe9", which is not there/);
    return true;
  });
});

test("Unpacker.unpack() takes sparse files, in each of GNU tar's forms", async (t) => {
  const from = await mkdtemp(join(tmpdir(), "peapod-sparse-"));
  t.after(() => rm(from, { recursive: true, force: true }));
  const content = Buffer.alloc(3_000_000);
  await writeFile(join(from, "sparse"), "");
  await truncate(join(from, "sparse"), content.length);
  const file = await open(join(from, "sparse"), "r+");
  for (let part = 0; part < 30; part += 1) {
    const said = `part ${part}`;
    content.write(said, part * 90_000);
    await file.write(said, part * 90_000); // more parts than the header has room for, and a hole at the end
  }
  await file.close();
  for (const form of [["--format=gnu"], ...["0.0", "0.1", "1.0"].map((version) => ["--format=posix", `--sparse-version=${version}`])]) {
    const { stdout } = spawnSync("tar", ["-C", from, "-cS", ...form, "sparse"]);
    assert.ok(stdout.length < 500_000, "tar took it for sparse");
    const { folder, sizeBytes } = await unpackBytes(t, stdout);
    assert.deepEqual(await readFile(join(folder, "sparse")), content, form.join(" "));
    assert.ok((await lstat(join(folder, "sparse"))).blocks * 512 < 500_000 && sizeBytes < 500_000, "its holes take nothing");
  }
});

test("Unpacker.unpack() keeps binary capabilities, and leaves overlayfs' own marks out", async (t) => {
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

test("Unpacker.unpack() lets a later entry replace an earlier one of another kind", async (t) => {
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

test("Unpacker.unpack() gives both digests, of gzip, zstd (in several frames) and plain archives", async (t) => {
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

test("Unpacker.unpack() stops when it is aborted", async (t) => {
  const base = await mkdtemp(join(tmpdir(), "peapod-unpack-"));
  t.after(() => rm(base, { recursive: true, force: true }));
  await writeFile(join(base, "a.tar"), await makeTar([{ name: "f", content: Buffer.alloc(50_000_000) }]));
  const stop = new AbortController();
  await using archive = await open(join(base, "a.tar"));
  await using unpacker = new Unpacker([archive.fd], stop.signal);
  const work = unpacker.unpack(0, { folder: join(base, "diff"), what: "layer x", purpose: "layer" });
  stop.abort();
  await assert.rejects(work, (error) => error === stop.signal.reason);
});
