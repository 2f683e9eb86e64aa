import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { silentLogger } from "@peapod/kit";
import { hasCode } from "../errors.ts";
import { mount, MS, unmount } from "../linux/libc.ts";
import { nestFolders } from "../linux/nested-folders.fixture.ts";
import { mountsUnder } from "./mounts.ts";
import { mountTmpfs } from "./tmpfs.ts";
import { openVolumes } from "./open-volumes.ts";
import type { VolumeFile, VolumePlan, VolumeService } from "./volumes.ts";

const { signal } = new AbortController();

const POD = "8c3e0c1c-0000-4000-8000-000000000001";

function open(t: TestContext): { volumes: VolumeService; dir: string; reopen: () => VolumeService } {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "peapod volumes-"))); // with a space: mountinfo escapes it
  const stateDir = join(dir, "state");
  const reopen = (): VolumeService => openVolumes({ stateDir, log: silentLogger });
  const volumes = reopen();
  t.after(async () => {
    await volumes.tearDown(POD, signal);
    const left = await mountsUnder(dir);
    for (const point of left) unmount(point);
    rmSync(dir, { recursive: true, force: true });
    assert.deepEqual(left, [], "mounts are left");
  });
  return { volumes, dir, reopen };
}

function files(contents: Record<string, string>, mode = 0o644): VolumeFile[] {
  return Object.entries(contents).map(([path, content]) => ({ path, content: Buffer.from(content), mode }));
}

const emptyDir: VolumePlan = { kind: "emptyDir", medium: "" };

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (cause) {
    assert.ok(hasCode(cause, "VOLUME_FAILED"), String(cause));
    return cause.message;
  }
  return assert.fail("It did not fail");
}

test("setUp() makes an emptyDir that everybody may write to, and keeps what is in it", async (t) => {
  const { volumes, reopen } = open(t);
  const umask = process.umask(0o077);
  const path = await volumes.setUp(POD, "scratch", emptyDir, signal);
  process.umask(umask);
  assert.equal(statSync(path).mode & 0o7777, 0o777);
  writeFileSync(join(path, "kept"), "x");
  assert.equal(await reopen().setUp(POD, "scratch", emptyDir, signal), path);
  assert.equal(readFileSync(join(path, "kept"), "utf8"), "x");
  assert.deepEqual(await volumes.listPods(), [POD]);
  assert.equal(statSync(join(path, "../../..")).mode & 0o777, 0o700);
});

test("setUp() makes an emptyDir in memory with its size as the limit", async (t) => {
  const { volumes, reopen } = open(t);
  const plan: VolumePlan = { kind: "emptyDir", medium: "Memory", sizeLimitBytes: 1024 * 1024 };
  const path = await volumes.setUp(POD, "cache", plan, signal);
  assert.equal(statfsSync(path).type, 0x0102_1994);
  assert.equal(statSync(path).mode & 0o7777, 0o777);
  writeFileSync(join(path, "fits"), Buffer.alloc(512 * 1024));
  assert.throws(() => writeFileSync(join(path, "too-much"), Buffer.alloc(1024 * 1024)), { code: "ENOSPC" });
  assert.equal(await reopen().setUp(POD, "cache", plan, signal), path);
  assert.equal((await mountsUnder(path)).length, 1);
  assert.equal(statSync(join(path, "fits")).size, 512 * 1024);
});

test("setUp() checks and makes hostPath volumes by their type, in upstream's words", async (t) => {
  const { volumes, dir } = open(t);
  const host = join(dir, "host");
  mkdirSync(host);
  writeFileSync(join(host, "file"), "");
  const server = createServer().listen(join(host, "socket"));
  t.after(() => server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  type Type = Extract<VolumePlan, { kind: "hostPath" }>["source"]["type"];
  const setUp = (path: string, type: Type): Promise<string> =>
    volumes.setUp(POD, "h", { kind: "hostPath", source: { path, ...(type === undefined ? {} : { type }) } }, signal);
  const message = async (path: string, type: Type): Promise<string> => (await failure(setUp(path, type))).replaceAll(host, "");

  assert.equal(await setUp(join(host, "file"), "File"), join(host, "file"));
  assert.equal(await setUp(join(host, "socket"), "Socket"), join(host, "socket"));
  assert.equal(await setUp("/dev/null", "CharDevice"), "/dev/null");
  assert.equal(await setUp(host, "Directory"), host);
  assert.equal(await setUp(join(host, "file"), ""), join(host, "file"));
  const umask = process.umask(0o022);
  await setUp(join(host, "made/deep"), "DirectoryOrCreate");
  await setUp(join(host, "made/file"), "FileOrCreate");
  await setUp(join(host, "made/untyped"), undefined);
  process.umask(umask);
  assert.equal(statSync(join(host, "made/deep")).mode & 0o7777, 0o755);
  assert.equal(statSync(join(host, "made/file")).mode & 0o7777, 0o644);
  assert.ok(statSync(join(host, "made/untyped")).isDirectory());

  assert.equal(await message(join(host, "file"), "Directory"), "hostPath type check failed: /file is not a directory");
  assert.equal(await message(join(host, "none"), "Directory"), "hostPath type check failed: /none is not a directory");
  assert.equal(await message(join(host, "file"), "DirectoryOrCreate"), "hostPath type check failed: /file is not a directory");
  assert.equal(await message(host, "File"), "hostPath type check failed:  is not a file");
  assert.equal(await message(host, "FileOrCreate"), "hostPath type check failed:  is not a file");
  assert.equal(await message(join(host, "file"), "Socket"), "hostPath type check failed: /file is not a socket file");
  assert.equal(await message(join(host, "file"), "CharDevice"), "hostPath type check failed: /file is not a character device");
  assert.equal(await message("/dev/null", "BlockDevice"), "hostPath type check failed: /dev/null is not a block device");
  assert.match(await message("/x/../y", ""), /must not contain '\.\.'/);
  assert.match(await message(join(host, "no/folder/file"), "FileOrCreate"), /ENOENT/);
});

test("setUp() writes files in upstream's layout and leaves equal ones alone", async (t) => {
  const { volumes } = open(t);
  const setUp = (plan: VolumeFile[]): Promise<string> =>
    volumes.setUp(POD, "config", { kind: "files", memory: false, files: plan }, signal);
  const umask = process.umask(0o077);
  const path = await setUp([
    ...files({ "a.conf": "one", "certs/ca/ca.crt": "C", same: "s" }),
    ...files({ script: "#!/bin/sh\n" }, 0o755),
    ...files({ private: "p" }, 0o400),
  ]);
  process.umask(umask);
  const generation = readlinkSync(join(path, "..data"));
  assert.match(generation, /^\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+$/);
  assert.deepEqual(readdirSync(path).sort(), ["..data", generation, "a.conf", "certs", "private", "same", "script"].sort());
  assert.equal(readlinkSync(join(path, "a.conf")), "..data/a.conf");
  assert.equal(readlinkSync(join(path, "certs")), "..data/certs");
  assert.equal(readFileSync(join(path, "certs/ca/ca.crt"), "utf8"), "C");
  const mode = (name: string): number => statSync(join(path, name)).mode & 0o7777;
  assert.deepEqual(["a.conf", "script", "private", ".", "..data", "certs/ca"].map(mode), [0o644, 0o755, 0o400, 0o755, 0o755, 0o755]);

  const next = files({ "a.conf": "two", same: "s", new: "n" });
  await setUp(next);
  assert.notEqual(readlinkSync(join(path, "..data")), generation);
  assert.ok(!existsSync(join(path, generation)));
  assert.deepEqual(
    readdirSync(path)
      .filter((name) => !name.startsWith(".."))
      .sort(),
    ["a.conf", "new", "same"],
  );
  const second = readlinkSync(join(path, "..data"));
  await setUp(next);
  assert.equal(readlinkSync(join(path, "..data")), second);
  await setUp(files({ "a.conf": "two", same: "s", new: "n" }, 0o600));
  assert.notEqual(readlinkSync(join(path, "..data")), second, "a changed mode is a change");
  await setUp([]);
  assert.deepEqual(
    readdirSync(path).filter((name) => !name.startsWith("..")),
    [],
  );
});

test("setUp() keeps the folders that other volumes are mounted on, and the mounts, through every change of the files", async (t) => {
  const { volumes } = open(t);
  const mountPoints = ["secret", "conf.d/in", "a-file"];
  const setUp = (contents: Record<string, string>): Promise<string> =>
    volumes.setUp(POD, "config", { kind: "files", memory: false, files: files(contents), mountPoints }, signal);
  const path = await setUp({ key: "1", "conf.d/a": "1", "conf.d/sub/b": "1", "a-file": "1" });
  for (const point of ["secret", "conf.d/in"]) mountTmpfs(join(path, point), { mode: 0o700 });
  for (const point of ["secret", "conf.d/in"]) writeFileSync(join(path, point, "kept"), "");
  const listing = (folder: string): string[] =>
    readdirSync(join(path, folder))
      .filter((name) => !name.startsWith(".."))
      .sort();
  const read = (name: string): string => readFileSync(join(path, name), "utf8");
  assert.deepEqual(
    [listing(""), listing("conf.d")],
    [
      ["a-file", "conf.d", "key", "secret"],
      ["a", "in", "sub"],
    ],
  );
  assert.deepEqual([readlinkSync(join(path, "a-file")), readlinkSync(join(path, "conf.d/sub"))], ["..data/a-file", "../..data/conf.d/sub"]);
  assert.deepEqual(["key", "conf.d/a", "conf.d/sub/b"].map(read), ["1", "1", "1"]);

  const part = await volumes.subPath(POD, "config", "conf.d", signal);
  assert.equal(readFileSync(join(part, "a"), "utf8"), "1");

  await setUp({ "conf.d/a": "2", "conf.d/new": "2", "a-file": "2" });
  assert.deepEqual(
    [listing(""), listing("conf.d")],
    [
      ["a-file", "conf.d", "secret"],
      ["a", "in", "new"],
    ],
  );
  assert.equal(read("conf.d/a"), "2");
  await setUp({});
  assert.deepEqual(
    [listing(""), listing("conf.d")],
    [["a-file", "conf.d", "secret"], ["in"]],
    "what was a file is a folder to mount on now",
  );
  for (const point of ["secret", "conf.d/in"]) assert.ok(existsSync(join(path, point, "kept")), point);
  assert.match(await failure(setUp({ "conf.d": "a file" })), /folder conf.d\/in for a mount in a volume: conf.d is a file/);
  await volumes.tearDown(POD, signal);
});

test("setUp() heals what a killed update left half-made", async (t) => {
  const { volumes } = open(t);
  const setUp = (contents: Record<string, string>): Promise<string> =>
    volumes.setUp(POD, "config", { kind: "files", memory: false, files: files(contents) }, signal);
  const path = await setUp({ a: "1", b: "1" });
  mkdirSync(join(path, "..2026_01_02_03_04_05.1"));
  writeFileSync(join(path, "..2026_01_02_03_04_05.1/half"), "");
  symlinkSync("..2026_01_02_03_04_05.1", join(path, "..data_tmp"));
  symlinkSync("..data/gone", join(path, "gone"));
  rmSync(join(path, "b"));
  await setUp({ a: "1", b: "1" });
  await setUp({ a: "2", b: "1" });
  assert.deepEqual(readdirSync(path).sort(), ["..data", readlinkSync(join(path, "..data")), "a", "b"].sort());
  assert.equal(readFileSync(join(path, "a"), "utf8"), "2");
});

test("setUp() refuses file names that lead elsewhere, and then changes nothing", async (t) => {
  const { volumes } = open(t);
  const setUp = (...paths: string[]): Promise<string> =>
    volumes.setUp(
      POD,
      "config",
      {
        kind: "files",
        memory: false,
        files: paths.map((path) => ({ path, content: Buffer.from("x"), mode: 0o644 })),
      },
      signal,
    );
  const path = await setUp("good");
  const before = readdirSync(path);
  for (const bad of [
    "",
    "/etc/passwd",
    "../x",
    "a/../b",
    "..x",
    "..data",
    "a//b",
    "./a",
    "x".repeat(256),
    `${"y/".repeat(2100)}z`,
    "a\0b",
  ]) {
    assert.match(await failure(setUp("good", bad)), /Invalid path/);
  }
  assert.match(await failure(setUp("a", "a/b")), /a is a file/);
  assert.deepEqual(readdirSync(path), before);
});

test("setUp() keeps secret files in memory, out of others' reach", async (t) => {
  const { volumes } = open(t);
  const plan = (content: string): VolumePlan => ({ kind: "files", memory: true, files: files({ key: content }, 0o644) });
  const path = await volumes.setUp(POD, "secret", plan("s3cret"), signal);
  assert.equal(statfsSync(path).type, 0x0102_1994);
  await volumes.setUp(POD, "secret", plan("changed"), signal);
  assert.equal(readFileSync(join(path, "key"), "utf8"), "changed");
  assert.equal((await mountsUnder(path)).length, 1);
  chmodSync(join(path, "../../../../.."), 0o755); // the test's own folder, so that only the state folder can refuse
  assert.throws(() => execFileSync("cat", [join(path, "key")], { uid: 65534, gid: 65534, stdio: "pipe" }), /Permission denied/);
});

test("setUp() never lets a reader see two versions at once", async (t) => {
  const { volumes } = open(t);
  const setUp = (version: number): Promise<string> =>
    volumes.setUp(
      POD,
      "config",
      {
        kind: "files",
        memory: true,
        files: files({ a: `${version}\n`.repeat(2000), b: `${version}\n`.repeat(2000) }),
      },
      signal,
    );
  const path = await setUp(0);
  // Opens the folder of one moment, as programs that want a consistent view do, and reads both files in it.
  const reader = spawn(process.execPath, [
    "-e",
    `const fs = require("node:fs");
     let seen = new Set(), go = true;
     process.on("SIGTERM", () => { go = false; });
     const round = () => {
       for (let i = 0; i < 50; i++) {
         let a, b, c; // ENOENT: the old folder went between two steps of ours, as with upstream; a reader tries again
         try {
           const dir = fs.readlinkSync(process.argv[1] + "/..data");
           a = fs.readFileSync(process.argv[1] + "/" + dir + "/a", "utf8"); b = fs.readFileSync(process.argv[1] + "/" + dir + "/b", "utf8");
           c = fs.readFileSync(process.argv[1] + "/a", "utf8");
         } catch (e) { if (e.code === "ENOENT") continue; throw e; }
         if (a !== b) { console.log("MIXED " + a.slice(0, 9) + b.slice(0, 9)); process.exit(1); }
         if (c.length !== (c.indexOf("\\n") + 1) * 2000) { console.log("HALF"); process.exit(1); }
         seen.add(a.slice(0, a.indexOf("\\n")));
       }
       if (go) setImmediate(round); else { console.log(seen.size); process.exit(0); }
     };
     console.log("ready"); round();`,
    path,
  ]);
  t.after(() => reader.kill("SIGKILL"));
  let output = "";
  reader.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  let errors = "";
  reader.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const closed = new Promise<number | null>((resolve) => reader.once("close", resolve));
  await new Promise((resolve) => reader.stdout.once("data", resolve));
  for (let version = 1; version <= 200; version++) {
    await setUp(version);
    await new Promise((resolve) => setImmediate(resolve));
  }
  reader.kill("SIGTERM");
  assert.equal(await closed, 0, output + errors);
  assert.ok(Number(output.split("\n")[1]) > 3, output);
});

test("subPath() binds a folder or file inside the volume, making a missing folder as open as the volume", async (t) => {
  const { volumes } = open(t);
  const path = await volumes.setUp(POD, "data", emptyDir, signal);
  const umask = process.umask(0o077);
  const made = await volumes.subPath(POD, "data", "mysql/data", signal);
  process.umask(umask);
  assert.equal(statSync(join(path, "mysql/data")).mode & 0o7777, 0o777);
  writeFileSync(join(made, "through"), "x");
  assert.equal(readFileSync(join(path, "mysql/data/through"), "utf8"), "x");
  assert.equal(await volumes.subPath(POD, "data", "mysql/data", signal), made);
  assert.equal((await mountsUnder(made)).length, 1);
  writeFileSync(join(path, "file"), "1");
  const file = await volumes.subPath(POD, "data", "file", signal);
  assert.equal(readFileSync(file, "utf8"), "1");
  rmSync(join(path, "file"));
  mkdirSync(join(path, "file"));
  assert.ok(statSync(await volumes.subPath(POD, "data", "file", signal)).isDirectory());
  assert.equal(statSync(await volumes.subPath(POD, "data", ".", signal)).ino, statSync(path).ino);
});

test("subPath() of files and of a hostPath names what was there then", async (t) => {
  const { volumes, dir, reopen } = open(t);
  const setUp = (content: string): Promise<string> =>
    volumes.setUp(POD, "config", { kind: "files", memory: false, files: files({ "app.conf": content }) }, signal);
  await setUp("one");
  const bound = await volumes.subPath(POD, "config", "app.conf", signal);
  assert.equal(readFileSync(bound, "utf8"), "one");
  await setUp("two");
  assert.equal(readFileSync(bound, "utf8"), "one", "a subPath mount is not updated");
  assert.equal(readFileSync(await volumes.subPath(POD, "config", "app.conf", signal), "utf8"), "two");
  mkdirSync(join(dir, "host/inner"), { recursive: true });
  await volumes.setUp(POD, "host", { kind: "hostPath", source: { path: join(dir, "host") } }, signal);
  const inner = await reopen().subPath(POD, "host", "inner", signal);
  assert.equal(statSync(inner).ino, statSync(join(dir, "host/inner")).ino);
});

test("subPath() never leads out of the volume", async (t) => {
  const { volumes, dir } = open(t);
  const path = await volumes.setUp(POD, "data", emptyDir, signal);
  mkdirSync(join(dir, "outside"));
  symlinkSync("/etc", join(path, "etc"));
  symlinkSync("../../../../..", join(path, "up"));
  symlinkSync("/nowhere/at/all", join(path, "dangling"));
  mkdirSync(join(path, "real"));
  symlinkSync("real", join(path, "inside"));
  for (const bad of ["/etc", "../x", "a/../../b", ""])
    assert.match(await failure(volumes.subPath(POD, "data", bad, signal)), /must be a relative path/);
  for (const bad of ["etc", "etc/hosts", "up", "up/outside", "etc/made"])
    assert.match(await failure(volumes.subPath(POD, "data", bad, signal)), /leads out of its volume/);
  await failure(volumes.subPath(POD, "data", "dangling", signal));
  assert.ok(!existsSync("/etc/made") && !existsSync("/nowhere"));
  assert.equal(statSync(await volumes.subPath(POD, "data", "inside/made", signal)).ino, statSync(join(path, "real/made")).ino);
});

test("subPath() is not fooled by a container that swaps folders for links meanwhile", async (t) => {
  const { volumes, dir } = open(t);
  const path = await volumes.setUp(POD, "data", emptyDir, signal);
  mkdirSync(join(dir, "secret/sub"), { recursive: true });
  const secret = statSync(join(dir, "secret/sub")).ino;
  mkdirSync(join(path, "real/sub"), { recursive: true });
  const swapper = spawn(process.execPath, [
    "-e",
    `const fs = require("node:fs"); process.chdir(process.argv[1]); console.log("ready");
     fs.mkdirSync("x/sub", { recursive: true }); fs.symlinkSync(process.argv[2], "link");
     for (;;) { fs.renameSync("x", "y"); fs.renameSync("link", "x"); fs.renameSync("x", "link"); fs.renameSync("y", "x"); }`,
    path,
    join(dir, "secret"),
  ]);
  t.after(() => swapper.kill("SIGKILL"));
  await new Promise((resolve) => swapper.stdout.once("data", resolve));
  let bound = 0;
  for (let round = 0; round < 400; round++) {
    const got = await volumes.subPath(POD, "data", "x/sub", signal).catch((cause: unknown) => {
      assert.ok(hasCode(cause, "VOLUME_FAILED"), String(cause));
    });
    if (got === undefined) continue;
    bound++;
    assert.notEqual(statSync(got).ino, secret);
  }
  assert.ok(bound > 0);
  swapper.kill("SIGKILL");
  assert.deepEqual(readdirSync(join(dir, "secret/sub")), []);
});

test("tearDown() unmounts and removes everything but what a hostPath names, and may be repeated", async (t) => {
  const { volumes, dir, reopen } = open(t);
  mkdirSync(join(dir, "host/inner"), { recursive: true });
  writeFileSync(join(dir, "host/inner/precious"), "x");
  await volumes.setUp(POD, "host", { kind: "hostPath", source: { path: join(dir, "host") } }, signal);
  const memory = await volumes.setUp(POD, "memory", { kind: "emptyDir", medium: "Memory" }, signal);
  const disk = await volumes.setUp(POD, "disk", emptyDir, signal);
  await volumes.subPath(POD, "host", "inner", signal);
  await volumes.subPath(POD, "memory", "made", signal);
  mkdirSync(join(disk, "mounted by a container"));
  mount(join(disk, "mounted by a container"), { source: join(dir, "host"), flags: MS.BIND });
  mkdirSync(join(memory, "deep"));
  mount(join(memory, "deep"), { source: "tmpfs", type: "tmpfs" });
  await reopen().tearDown(POD, signal);
  await volumes.tearDown(POD, signal);
  assert.deepEqual(await mountsUnder(join(dir, "state")), []);
  assert.deepEqual(await volumes.listPods(), []);
  assert.equal(readFileSync(join(dir, "host/inner/precious"), "utf8"), "x");
});

test("tearDown() removes folders nested deeper than any path can name", async (t) => {
  const { volumes } = open(t);
  const path = await volumes.setUp(POD, "scratch", emptyDir, signal);
  await nestFolders(path, t.signal);
  mkdirSync(join(path, "../../../lost+found"));
  assert.deepEqual(await volumes.listPods(), [POD]);
  await volumes.tearDown(POD, signal);
  assert.deepEqual(await volumes.listPods(), []);
});

test("writePodFile() makes a file, and changes it in place", async (t) => {
  const { volumes } = open(t);
  const path = await volumes.writePodFile(POD, "etc-hosts", "127.0.0.1\tlocalhost\n# long\n", 0o644, signal);
  const before = lstatSync(path);
  assert.equal(before.mode & 0o7777, 0o644);
  assert.equal(await volumes.writePodFile(POD, "etc-hosts", "127.0.0.1\tlocalhost\n", 0o644, signal), path);
  assert.equal(readFileSync(path, "utf8"), "127.0.0.1\tlocalhost\n");
  assert.equal(lstatSync(path).ino, before.ino);
  truncateSync(path, 3 * 2 ** 30); // as a container may: more than can be read back
  await volumes.writePodFile(POD, "etc-hosts", "127.0.0.1\tlocalhost\n", 0o644, signal);
  assert.equal(readFileSync(path, "utf8"), "127.0.0.1\tlocalhost\n");
  await assert.rejects(volumes.writePodFile(POD, "../x", "", 0o644, signal), /Not a pod file/);
  await assert.rejects(volumes.tearDown("../..", signal), /Not a pod uid/);
});

test("mountsUnder() finds what is mounted below a folder of any name, deepest first, and nothing beside it", async (t) => {
  const { dir } = open(t);
  const folder = join(dir, "a b\\c\td");
  const places = [folder, join(folder, "in"), join(dir, "a b\\c\tde")];
  for (const place of places) {
    mkdirSync(place);
    mount(place, { source: "tmpfs", type: "tmpfs" });
  }
  try {
    assert.deepEqual(await mountsUnder(folder), [join(folder, "in"), folder]);
    assert.deepEqual(await mountsUnder(join(dir, "a")), []);
  } finally {
    for (const place of places.toReversed()) unmount(place);
  }
});
