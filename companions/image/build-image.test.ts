import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildImage } from "./build-image.ts";
import { parseLdd } from "./node-files.ts";

const run = promisify(execFile);
const never = new AbortController().signal;
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
  return { folder, companion: { name: "greeter", main, programs: ["/usr/bin/env"] } };
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

test("parseLdd() finds the libraries, and names one that is missing", () => {
  const output = [
    "\tlinux-vdso.so.1 (0x00007ffc)",
    "\tlibdl.so.2 => /lib/x86_64-linux-gnu/libdl.so.2 (0x00007f12)",
    "\t/lib64/ld-linux-x86-64.so.2 (0x00007f34)",
  ];
  assert.deepEqual(parseLdd(output.join("\n"), "node"), ["/lib/x86_64-linux-gnu/libdl.so.2", "/lib64/ld-linux-x86-64.so.2"]);
  assert.throws(() => parseLdd("\tlibatomic.so.1 => not found\n", "node"), /node needs libatomic.so.1, which this machine lacks/);
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
