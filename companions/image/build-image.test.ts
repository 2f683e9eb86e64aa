import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { companions } from "../companions.ts";
import { sourcesOf } from "../sources.ts";
import { buildImage } from "./build-image.ts";
import { bundle } from "./bundle.ts";
import { nativeNames } from "./native-packages.ts";
import { parseLdd } from "./node-files.ts";

const run = promisify(execFile);
const never = new AbortController().signal;
const installed = fileURLToPath(new URL("../../node_modules", import.meta.url));
const native = `@koromix/koffi-linux-${process.arch}`;
const root = fileURLToPath(new URL("../..", import.meta.url));
const program = fileURLToPath(new URL("./main.ts", import.meta.url));

/** A folder of the test's own, with a small companion in it. */
async function setUp(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "peapod-image-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const main = join(folder, "main.ts");
  await writeFile(
    main,
    'import { release } from "node:os";\nconst words: string[] = ["hello", release()];\nprocess.stdout.write(words.join(" "));\n',
  );
  return { folder, companion: { name: "greeter", about: "", main, programs: ["/usr/bin/env", "/no/such/program"], threads: [] } };
}

/** The same with a program that starts a thread; each asks koffi for the process's id. `packages` are what it can import. */
async function setUpThread(t: TestContext, packages: readonly string[]) {
  const { folder, companion } = await setUp(t);
  for (const name of packages) {
    await mkdir(dirname(join(folder, "node_modules", name)), { recursive: true });
    await symlink(join(installed, name), join(folder, "node_modules", name));
  }
  const ask = 'const id = (await import("koffi")).default.load("libc.so.6").func("int getpid()")();\n';
  await writeFile(join(folder, "thread.ts"), `import { parentPort } from "node:worker_threads";\n${ask}parentPort?.postMessage(id);\n`);
  await writeFile(
    companion.main,
    `import { Worker } from "node:worker_threads";\n${ask}` +
      'const file = import.meta.url.endsWith(".ts") ? "./thread.ts" : "./thread.mjs";\n' +
      'const worker = new Worker(new URL(file, import.meta.url)).on("message", (inThread: number) =>\n' +
      "  process.stdout.write(JSON.stringify([id, inThread].map((one) => one === process.pid))));\n",
  );
  return { folder, companion: { ...companion, threads: [join(folder, "thread.ts")] } };
}

/** The layers of a layout, the lower ones first, each as the files in it. */
async function layersOf(layout: string): Promise<{ path: string; files: string[] }[]> {
  const blob = (digest: string): string => join(layout, "blobs", digest.replace(":", "/"));
  const parse = async (path: string): Promise<unknown> => JSON.parse(await readFile(path, "utf8"));
  const index = (await parse(join(layout, "index.json"))) as { manifests: [{ digest: string }] };
  const manifest = (await parse(blob(index.manifests[0].digest))) as { layers: { digest: string }[] };
  return Promise.all(
    manifest.layers.map(async ({ digest }) => {
      const { stdout } = await run("tar", ["-tf", blob(digest)]);
      return { path: blob(digest), files: stdout.split("\n").filter((name) => name !== "" && !name.endsWith("/")) };
    }),
  );
}

test("buildImage() makes an image that skopeo reads, the same one each time", async (t) => {
  const { folder, companion } = await setUp(t);
  const steps: string[] = [];
  const options = { imageName: "peapod.local/greeter:latest", onStep: (step: string) => steps.push(step), signal: never };
  const [layout, archive] = [join(folder, "layout"), join(folder, "greeter.tar")];
  await buildImage(companion, { kind: "layout", path: layout }, options);
  await buildImage(companion, { kind: "archive", path: archive }, options);
  const inspect = async (source: string): Promise<unknown> =>
    JSON.parse((await run("skopeo", ["--insecure-policy", "inspect", "--config", source])).stdout);
  const config = (await inspect(`oci:${layout}`)) as { config: object; rootfs: { diff_ids: string[] } };
  assert.deepEqual(config.config, {
    User: "65532:65532",
    Env: ["PATH=/usr/bin:/usr/sbin"],
    Entrypoint: ["/usr/bin/greeter"],
    WorkingDir: "/",
    StopSignal: "SIGTERM",
  });
  assert.equal(config.rootfs.diff_ids.length, 2);
  assert.deepEqual(await inspect(`oci-archive:${archive}`), config);
  assert.equal(steps[0], "Bundling greeter");
  assert.deepEqual((await readdir(folder)).toSorted(), ["greeter.tar", "layout", "main.ts"], "nothing else is left");
});

test("buildImage() leaves nothing where the program does not compile", async (t) => {
  const { folder, companion } = await setUp(t);
  await writeFile(companion.main, 'import "./no-such-file.ts";\n');
  const options = { imageName: "peapod.local/greeter:latest", onStep: () => {}, signal: never };
  await assert.rejects(buildImage(companion, { kind: "layout", path: join(folder, "layout") }, options), /no-such-file/);
  assert.deepEqual(await readdir(folder), ["main.ts"]);
});

test("buildImage() brings a companion's threads, and the packages with native files that each of its programs loads", async (t) => {
  const { folder, companion } = await setUpThread(t, ["koffi", native]);
  const options = { imageName: "peapod.local/greeter:latest", onStep: () => {}, signal: never };
  const layout = join(folder, "layout");
  await buildImage(companion, { kind: "layout", path: layout }, options);
  const [below, own] = await layersOf(layout);
  assert.ok(below !== undefined && own !== undefined);
  assert.deepEqual(
    own.files.filter((path) => path.startsWith("./app/") && !path.includes("/indirect.") && !path.endsWith(".cjs")),
    [
      "./app/greeter.mjs",
      `./app/node_modules/${native}/index.js`,
      `./app/node_modules/${native}/linux_${process.arch}/koffi.node`,
      `./app/node_modules/${native}/package.json`,
      "./app/node_modules/koffi/LICENSE.txt",
      "./app/node_modules/koffi/index.js",
      "./app/node_modules/koffi/package.json",
      "./app/node_modules/koffi/src/koffi/index.js",
      "./app/node_modules/koffi/src/koffi/src/static.js",
      "./app/thread.mjs",
    ],
  );
  assert.deepEqual(
    own.files.filter((path) => below.files.includes(path)),
    [],
    "nothing is there twice",
  );
  const root = join(folder, "root");
  await mkdir(root);
  for (const { path } of [below, own]) await run("tar", ["-C", root, "-xf", path]);
  assert.equal((await lstat(join(root, "app/node_modules/koffi/index.js"))).mode & 0o7777, 0o644);
  const { stdout } = await run("chroot", ["--userspec=65532:65532", root, "/usr/bin/greeter"], { env: { PATH: "/usr/sbin:/usr/bin" } });
  assert.deepEqual(JSON.parse(stdout), [true, true], "the process's id, as the program and as its thread learn it");
});

test("buildImage() leaves out a package whose native files are not installed, and says so", async (t) => {
  const { folder, companion } = await setUpThread(t, ["koffi"]);
  const steps: string[] = [];
  const options = { imageName: "peapod.local/greeter:latest", onStep: (step: string) => steps.push(step), signal: never };
  await buildImage(companion, { kind: "layout", path: join(folder, "layout") }, options);
  assert.ok(steps.includes(`Leaving koffi out: ${native} is not installed`), steps.join("; "));
  const [, own] = await layersOf(join(folder, "layout"));
  assert.deepEqual(
    own?.files.filter((path) => path.startsWith("./app/")),
    ["./app/greeter.mjs", "./app/thread.mjs"],
  );
});

test("sourcesOf() has every file of the repository that a companion's bundles are made of", async (t) => {
  const { folder } = await setUp(t);
  for (const { name, main, threads } of companions()) {
    const programs = [main, ...threads];
    const known = new Set((await sourcesOf(programs)).map(({ path }) => relative(root, path)));
    const bundles = await Promise.all(programs.map((path, index) => bundle(path, join(folder, `${index}.mjs`), nativeNames)));
    const files = bundles.flatMap((one) => one.files).filter((path) => !path.startsWith("node_modules/"));
    assert.ok(files.includes(`companions/${name}/main.ts`) && files.includes("companions/frame/program/program.ts"), name);
    assert.deepEqual(
      files.filter((path) => !known.has(path)),
      [],
      name,
    );
  }
});

test("parseLdd() finds the libraries, and names one that is missing", () => {
  const output = [
    "\tlinux-vdso.so.1 (0x00007ffc)",
    "\tlibdl.so.2 => /lib/x86_64-linux-gnu/libdl.so.2 (0x00007f12)",
    "\t/lib64/ld-linux-x86-64.so.2 (0x00007f34)",
  ];
  assert.deepEqual(parseLdd(output.join("\n"), "node"), ["/lib/x86_64-linux-gnu/libdl.so.2", "/lib64/ld-linux-x86-64.so.2"]);
  assert.throws(() => parseLdd("\tlibatomic.so.1 => not found\n", "node"), /node needs libatomic.so.1, which this machine lacks/);
});

test("the builder makes the same image whatever may be read of new files", async (t) => {
  const { folder } = await setUp(t);
  const build = async (umask: string): Promise<unknown> => {
    const layout = join(folder, umask);
    const command = [process.execPath, program, "ambassador", "--layout", layout, "--name", "peapod.local/ambassador:latest"];
    await run("sh", ["-c", `umask ${umask}; exec "$@"`, "sh", ...command]);
    return JSON.parse(await readFile(join(layout, "index.json"), "utf8"));
  };
  assert.deepEqual(await build("077"), await build("002"));
});

test("the builder tells what is wrong with its arguments", async () => {
  const cases: readonly (readonly [args: string[], problem: RegExp])[] = [
    [[], /Name one companion/],
    [["image"], /Say where: --layout FOLDER or --archive FILE/],
    [["ambassador", "--layout", "x", "--archive", "y"], /Say where/],
    [["ambassador", "--layout", "x"], /Say what the image is called/],
    [["no-such", "--layout", "x", "--name", "y"], /There is no companion "no-such"/],
    [["--no-such"], /Unknown option '--no-such'/],
  ];
  for (const [args, problem] of cases) {
    const outcome = await run(process.execPath, [program, ...args]).catch((error: unknown) => error as { code: number; stderr: string });
    assert.ok("code" in outcome && outcome.code === 64, args.join(" "));
    assert.match(outcome.stderr, problem);
  }
});
