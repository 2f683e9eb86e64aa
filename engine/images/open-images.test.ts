import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { eventually, Scope, silentLogger } from "@peapod/kit";
import { hasCode } from "../errors.ts";
import { configFor, digestOf, type FixtureImage, makeTar, writeLayout } from "./layout.fixture.ts";
import { openImages } from "./open-images.ts";

const never = new AbortController().signal;

async function setUp(scope: Scope) {
  const folder = await mkdtemp(join(tmpdir(), "peapod-images-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const used = new Set<string>();
  const dirs = { stateDir: join(folder, "state"), runDir: join(folder, "run") };
  const open = () => openImages({ ...dirs, log: silentLogger, scope, inUse: () => used });
  return { folder, used, open, images: await open(), ...dirs };
}

const file = (name: string, content: string) => makeTar([{ name, content }]);

async function pack(folder: string, archive: string): Promise<string> {
  const child = spawn("tar", ["-cf", archive, "-C", folder, "."]);
  assert.deepEqual(await once(child, "exit"), [0, null]);
  return archive;
}

test("mountRootfs() keeps what a container writes apart, and removeRootfs() can be repeated", async () => {
  await using scope = new Scope();
  const { folder, images, open, stateDir, runDir } = await setUp(scope);
  const layer = await makeTar([
    { name: "./", type: "directory", mode: 0o750, uid: 5 },
    { name: "f", content: "image" },
    { name: "d/gone" },
  ]);
  await writeLayout(join(folder, "layout"), [
    { name: "x:1", layers: [layer, layer] },
    { name: "empty:1", layers: [] },
  ]);
  const [image, empty] = await images.loadImages(join(folder, "layout"), {}, never);
  const one = await images.mountRootfs(image?.id ?? "", "one", never);
  const two = await images.mountRootfs(image?.id ?? "", "two", never);
  assert.equal((await stat(one)).uid, 5);
  await writeFile(join(one, "f"), "mine");
  await rm(join(one, "d"), { recursive: true });
  assert.equal(await images.mountRootfs(image?.id ?? "", "one", never), one);
  assert.deepEqual([await readFile(join(one, "f"), "utf8"), await readFile(join(two, "f"), "utf8")], ["mine", "image"]);
  assert.deepEqual(await readdir(await images.mountRootfs(empty?.id ?? "", "three", never)), []);
  assert.deepEqual(await (await open()).listRootfs(), ["one", "three", "two"]);
  for (const key of ["one", "two", "three", "two", "never"]) await images.removeRootfs(key, never);
  assert.deepEqual(
    [await images.listRootfs(), await readdir(join(stateDir, "rootfs")), await readdir(join(runDir, "rootfs"))],
    [[], [], []],
  );
  assert.doesNotMatch(await readFile("/proc/mounts", "utf8"), new RegExp(folder));
  await assert.rejects(images.mountRootfs("sha256:none", "x", never), (error) => hasCode(error, "IMAGE_NOT_FOUND"));
});

test("loadImages() takes OCI layouts and archives, named and unnamed, for this machine", async () => {
  await using scope = new Scope();
  const { folder, images, stateDir } = await setUp(scope);
  const layout = join(folder, "layout");
  const other = { os: "linux", architecture: "s390x" };
  await writeLayout(layout, [
    { name: "docker.io/library/a:1", layers: [await file("a", "a")] },
    { name: "b", layers: [await file("b", "b")] },
    { name: "docker.io/library/c:1", layers: [await file("c", "c")], platform: other },
  ]);
  const archive = await pack(layout, join(folder, "archive.tar"));
  const loaded = await images.loadImages(archive, {}, never);
  assert.deepEqual(
    loaded.map(({ repoTags }) => repoTags),
    [["docker.io/library/a:1"], []],
  );
  assert.equal((await images.imageStatus("a:1", never))?.id, loaded[0]?.id);
  assert.equal((await images.loadImages(layout, {}, never)).length, 2);
  assert.equal((await images.listImages()).length, 2);
  assert.deepEqual(await readdir(join(stateDir, "images/tmp")), []);
});

test("loadImages() takes docker archives, compressed too, with all their images and names", async () => {
  await using scope = new Scope();
  const { folder, images } = await setUp(scope);
  const base = await file("base", "base");
  const [one, two]: FixtureImage[] = [{ layers: [base] }, { layers: [base, await file("two", "2")], config: { Cmd: ["two"] } }];
  const configs = [one, two].map((image) => configFor(image ?? { layers: [] }));
  const manifest = [
    { Config: "1.json", RepoTags: ["one:1", "one:latest"], Layers: ["aa/layer.tar"] },
    { Config: "2.json", RepoTags: null, Layers: ["bb/layer.tar", "cc/layer.tar"] },
  ];
  const tar = await makeTar([
    { name: "1.json", content: configs[0] ?? "" },
    { name: "2.json", content: configs[1] ?? "" },
    { name: "aa/layer.tar", content: base },
    { name: "bb/layer.tar", type: "symlink", linkname: "../aa/layer.tar" },
    { name: "cc/layer.tar", content: two?.layers[1] ?? "" },
    { name: "manifest.json", content: JSON.stringify(manifest) },
  ]);
  const archive = join(folder, "docker.tar.gz");
  await writeFile(archive, gzipSync(tar));
  const loaded = await images.loadImages(archive, {}, never);
  assert.deepEqual(
    loaded.map(({ id, repoTags }) => [id, repoTags]),
    [
      [digestOf(configs[0] ?? Buffer.alloc(0)), ["docker.io/library/one:1", "docker.io/library/one:latest"]],
      [digestOf(configs[1] ?? Buffer.alloc(0)), []],
    ],
  );
  assert.deepEqual(loaded[1]?.config.cmd, ["two"]);
});

const wrongFiles: { does: string; make: (folder: string) => Promise<void>; says: RegExp }[] = [
  { does: "a folder that is no layout", make: async () => {}, says: /neither index\.json nor manifest\.json/ },
  {
    does: "an index.json that is not JSON",
    make: (folder) => writeFile(join(folder, "index.json"), "no"),
    says: /index\.json is invalid: it is not JSON/,
  },
  {
    does: "a layout whose blob is missing",
    make: async (folder) => {
      await writeLayout(folder, [{ name: "x:1", layers: [] }]);
      await rm(join(folder, "blobs"), { recursive: true });
    },
    says: /it has no file "blobs/,
  },
  {
    does: "a docker archive that names a file of the machine",
    make: (folder) => writeFile(join(folder, "manifest.json"), `[{"Config":"../../../../etc/hostname","RepoTags":null,"Layers":[]}]`),
    says: /it has no file "\.\./,
  },
  {
    does: "an archive that links to a file of the machine",
    make: async (folder) => {
      await symlink("/etc/passwd", join(folder, "c"));
      await writeFile(join(folder, "manifest.json"), `[{"Config":"c","Layers":[]}]`);
    },
    says: /it has no file "c"/,
  },
  {
    does: "an image for another machine only",
    make: async (folder) => {
      await writeLayout(folder, [{ name: "x:1", layers: [], platform: { os: "linux", architecture: "s390x" } }]);
    },
    says: /no image for linux/,
  },
];
for (const { does, make, says } of wrongFiles) {
  test(`loadImages() refuses ${does}`, async () => {
    await using scope = new Scope();
    const { folder, images } = await setUp(scope);
    const given = join(folder, "given");
    await mkdir(given);
    await make(given);
    await assert.rejects(
      images.loadImages(given, {}, never),
      (error) => hasCode(error, "IMAGE_INVALID") && says.test(error.message) && error.message.includes(given),
    );
    assert.deepEqual(await images.listImages(), []);
  });
}

test("loadImages() refuses a layer that is not what the configuration says, and one that reaches outside", async () => {
  await using scope = new Scope();
  const { folder, images, stateDir } = await setUp(scope);
  const good = await file("a", "a");
  const evil = await makeTar([{ name: "../../evil", content: "x" }]);
  const archiveOf = async (config: Buffer, layer: Buffer) => {
    const archive = join(folder, `${digestOf(layer).slice(7, 15)}.tar`);
    await writeFile(
      archive,
      await makeTar([
        { name: "c", content: config },
        { name: "l", content: layer },
        { name: "manifest.json", content: `[{"Config":"c","RepoTags":["x:1"],"Layers":["l"]}]` },
      ]),
    );
    return archive;
  };
  await assert.rejects(
    images.loadImages(await archiveOf(configFor({ layers: [evil] }), good), {}, never),
    /unpacked it has the digest sha256:/,
  );
  await assert.rejects(
    images.loadImages(await archiveOf(configFor({ layers: [evil] }), evil), {}, never),
    /layer sha256:\w+ of docker\.io\/library\/x:1: entry "\.\.\/\.\.\/evil"/,
  );
  assert.deepEqual(
    [await images.listImages(), await readdir(join(stateDir, "images/tmp")), await readdir(join(stateDir, "images/layers"))],
    [[], [], []],
  );
  await assert.rejects(images.loadImages(join(folder, "nothing.tar"), {}, never), (error) => hasCode(error, "IMAGE_NOT_FOUND"));
});

test("removeImage() removes names first, then the image and the layers that no other has", async () => {
  await using scope = new Scope();
  const { folder, images, used, open, stateDir } = await setUp(scope);
  const shared = await file("s", "shared");
  await writeLayout(join(folder, "1"), [
    { name: "one:1", layers: [shared, await file("o", "one")] },
    { name: "two:1", layers: [shared] },
  ]);
  await writeLayout(join(folder, "2"), [{ name: "again:1", layers: [shared, await file("o", "one")] }]);
  const [one, two] = await images.loadImages(join(folder, "1"), {}, never);
  await images.loadImages(join(folder, "2"), {}, never);
  assert.deepEqual((await images.imageStatus("one:1", never))?.repoTags, ["docker.io/library/again:1", "docker.io/library/one:1"]);
  used.add(one?.id ?? "");
  assert.deepEqual(await images.removeImage("one:1"), { untagged: ["docker.io/library/one:1"], deleted: [] });
  await assert.rejects(images.removeImage("again:1"), (error) => hasCode(error, "IMAGE_IN_USE"));
  used.clear();
  assert.deepEqual(await images.removeImage((one?.id ?? "").slice(7, 19)), { untagged: ["docker.io/library/again:1"], deleted: [one?.id] });
  await assert.rejects(images.removeImage("again:1"), (error) => hasCode(error, "IMAGE_NOT_FOUND"));
  assert.equal((await readdir(join(stateDir, "images/layers"))).length, 1);
  const later = await open();
  assert.deepEqual(
    (await later.listImages()).map(({ id }) => id),
    [two?.id],
  );
  assert.equal(await readFile(join(await later.mountRootfs(two?.id ?? "", "k", never), "s"), "utf8"), "shared");
  await later.removeRootfs("k", never);
});

test("prune() removes what has no name, or with `all` what no container uses", async () => {
  await using scope = new Scope();
  const { folder, images, used, stateDir } = await setUp(scope);
  await writeLayout(join(folder, "1"), [{ name: "x:1", layers: [await file("f", "12345")] }]);
  await writeLayout(join(folder, "2"), [
    { name: "x:1", layers: [await file("f", "new")] },
    { name: "y:1", layers: [await file("g", "used")] },
  ]);
  const [old] = await images.loadImages(join(folder, "1"), {}, never);
  const [current, busy] = await images.loadImages(join(folder, "2"), {}, never);
  used.add(busy?.id ?? "");
  assert.deepEqual(await images.prune({ all: false }), { deleted: [old?.id], freedBytes: 5 });
  assert.deepEqual(await images.prune({ all: true }), { deleted: [current?.id], freedBytes: 3 });
  assert.equal((await readdir(join(stateDir, "images/layers"))).length, 1);
  assert.deepEqual((await readdir(join(stateDir, "images/l"))).length, 1);
});

test("openImages() clears away what a killed engine left half-made", async () => {
  await using scope = new Scope();
  const { folder, images, open, stateDir } = await setUp(scope);
  await writeLayout(join(folder, "1"), [
    { name: "x:1", layers: [await file("f", "1")] },
    { name: "y:1", layers: [await file("f", "2")] },
  ]);
  const [x, y] = await images.loadImages(join(folder, "1"), {}, never);
  await mkdir(join(stateDir, "images/tmp/half/diff"), { recursive: true });
  await mkdir(join(stateDir, `images/layers/${"0".repeat(64)}/diff`), { recursive: true });
  await writeFile(join(stateDir, "images/images/.half.json.tmp"), "{");
  await rm(join(stateDir, "images/l"), { recursive: true });
  const lost = y?.id ?? "";
  const record = JSON.parse(await readFile(join(stateDir, `images/images/${lost.slice(7)}.json`), "utf8")) as { layers: string[] };
  await rm(join(stateDir, `images/layers/${record.layers[0]?.slice(7)}`), { recursive: true });
  const later = await open();
  assert.deepEqual(
    (await later.listImages()).map(({ id }) => id),
    [x?.id],
  );
  assert.equal(await later.imageStatus("y:1", never), undefined);
  assert.deepEqual(
    [
      await readdir(join(stateDir, "images/tmp")),
      await readdir(join(stateDir, "images/l")),
      (await readdir(join(stateDir, "images/images"))).length,
    ],
    [[], ["0"], 1],
  );
  assert.equal(await readFile(join(await later.mountRootfs(x?.id ?? "", "k", never), "f"), "utf8"), "1");
  await later.removeRootfs("k", never);
});

test("pullImage() says what is wrong with a name, and what is not there yet", async () => {
  await using scope = new Scope();
  const { images } = await setUp(scope);
  await assert.rejects(images.pullImage("Upper/case", never), (error) => hasCode(error, "IMAGE_NAME_INVALID"));
  await assert.rejects(images.pullImage("peapod.local/no-such", never), (error) => hasCode(error, "IMAGE_NOT_FOUND"));
  await assert.rejects(images.imageStatus("a b", never), (error) => hasCode(error, "IMAGE_NAME_INVALID"));
});

test("pullImage() makes a companion's image, once, and it runs by itself", { timeout: 60_000 }, async () => {
  await using scope = new Scope();
  const { images, stateDir } = await setUp(scope);
  const [image, same] = await Promise.all([1, 2].map(() => images.pullImage("peapod.local/ambassador", never)));
  assert.ok(image !== undefined && image === same);
  assert.deepEqual([image.repoTags, image.config.user], [["peapod.local/ambassador:latest"], "65532:65532"]);
  assert.equal((await images.pullImage("peapod.local/ambassador:latest", never)).id, image.id, "what has not changed is not made again");
  const root = await images.mountRootfs(image.id, "ambassador", never);
  const program = spawn("chroot", ["--userspec=65532:65532", root, ...image.config.entrypoint, "--help"], {
    env: { PATH: "/usr/sbin:/usr/bin" },
  });
  const [stdout, stderr] = await Promise.all(
    [program.stdout, program.stderr].map(async (stream) => Buffer.concat(await stream.toArray()).toString()),
  );
  assert.match(stdout ?? "", /--config FILE/, stderr);
  await images.removeRootfs("ambassador", never);
  await images.removeImage("peapod.local/ambassador");
  assert.deepEqual(await readdir(join(stateDir, "images/layers")), []);
});

test("pullImage() makes an image of Debian packages, once", { timeout: 60_000 }, async () => {
  await using scope = new Scope();
  const { images, stateDir } = await setUp(scope);
  const name = "apt.local/busybox/libdb5.3"; // the second could be an expression
  const heard: string[] = [];
  const listening = (async () => {
    for await (const { phase } of images.progress(scope.signal)) heard.push(phase);
  })();
  const [image, same] = await Promise.all([images.pullImage(name, never), images.pullImage(name, never)]);
  assert.equal(image, same);
  assert.equal((await images.imageStatus(name, never))?.id, image.id);
  const root = await images.mountRootfs(image.id, "bb", never);
  const shell = spawn("chroot", [root, "sh", "-c", "ls / && id -un && grep -c ^nobody: /etc/passwd && stat -c %a /tmp"], {
    env: { PATH: "/usr/sbin:/usr/bin" },
  });
  const said = Buffer.concat(await shell.stdout.toArray()).toString();
  assert.equal(said, `${"bin dev etc home lib lib64 mnt opt proc root run sbin srv sys tmp usr var root 1 1777".split(" ").join("\n")}\n`);
  for (const path of ["etc/resolv.conf", "etc/hostname", "etc/apt", "var/lib/dpkg", "usr/share/man"])
    await assert.rejects(stat(join(root, path)), /ENOENT/);
  assert.deepEqual(await readdir(join(root, "dev")), []);
  await images.removeRootfs("bb", never);
  await eventually(() => heard.at(-1) === "done", { withinMs: 1000 });
  assert.ok(heard.includes("making"));
  assert.deepEqual(await readdir(join(stateDir, "images/tmp")), []);
  await assert.rejects(
    images.pullImage("apt.local/no-such-package", never),
    (error) => hasCode(error, "IMAGE_NOT_FOUND") && error.message.includes(`"no-such-package"`) && error.cause === undefined,
  );
  // apt would take the first for an expression, and the second for the package that provides it.
  for (const [given, missing] of [
    ["apt.local/busy.ox", "busy.ox"],
    ["apt.local/busybox/debconf-2.0", "debconf-2.0"],
  ] as const)
    await assert.rejects(
      images.pullImage(given, never),
      (error) => hasCode(error, "IMAGE_NOT_FOUND") && /^[^\n]*no package "([^"]*)" in/.exec(error.message)?.[1] === missing,
    );
  await scope[Symbol.asyncDispose]();
  await listening;
});

test("pullImage() of packages leaves nothing when it is aborted", { timeout: 60_000 }, async () => {
  await using scope = new Scope();
  const { images, stateDir, folder } = await setUp(scope);
  const stop = new AbortController();
  const pull = images.pullImage("apt.local/busybox", stop.signal);
  pull.catch(() => {});
  await eventually(
    async () => (await readdir(join(stateDir, "images/tmp"), { recursive: true })).some((path) => path.endsWith("diff/usr")),
    { withinMs: 10_000 },
  );
  const temporary = (await readdir(join(stateDir, "images/tmp"), { recursive: true })).filter((path) => path.includes("/mmdebstrap."));
  assert.notDeepEqual(temporary, [], "what it leaves when killed lies where it is removed");
  stop.abort();
  await assert.rejects(pull, (error) => error === stop.signal.reason);
  assert.deepEqual(await readdir(join(stateDir, "images/tmp")), []);
  assert.deepEqual(await images.listImages(), []);
  assert.doesNotMatch(await readFile("/proc/mounts", "utf8"), new RegExp(folder));
});
