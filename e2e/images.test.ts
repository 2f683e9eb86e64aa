import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { eventually, run } from "@peapod/kit";
import { peapod as launcher, startEngine, type TestEngine } from "./engine-fixture.ts";
import { applyReady, field, idle, pod } from "./pods.ts";
import { htpasswdLine, startRegistry } from "./registry-fixture.ts";

const limit = (): AbortSignal => AbortSignal.timeout(60_000);

/** A small OCI image with busybox and a given word in /word, as a docker archive. */
async function makeArchive(engine: TestEngine, name: string): Promise<string> {
  const folder = dirname(engine.file(`${name}/rootfs/bin/README`, "made by a test\n"));
  const root = dirname(folder);
  await run("cp", ["/usr/bin/busybox", join(root, "bin/busybox")], { signal: limit() });
  engine.file(`${name}/rootfs/word`, `${name}\n`);
  // Noise, so that a pull takes a moment and can be interrupted.
  await run("dd", ["if=/dev/urandom", `of=${join(root, "noise")}`, "bs=1M", "count=24"], { signal: limit() });
  const layer = engine.file(`${name}/docker/layer.tar`, "");
  await run("tar", ["-C", root, "--owner=0", "--group=0", "-cf", layer, "."], { signal: limit() });
  const digest = (await run("sha256sum", [layer], { signal: limit() })).stdout.split(" ")[0] ?? "";
  engine.file(
    `${name}/docker/config.json`,
    JSON.stringify({
      architecture: "amd64",
      os: "linux",
      config: { Cmd: ["/bin/busybox", "sleep", "3600"], Env: ["PATH=/bin"] },
      rootfs: { type: "layers", diff_ids: [`sha256:${digest}`] },
    }),
  );
  engine.file(
    `${name}/docker/manifest.json`,
    JSON.stringify([{ Config: "config.json", RepoTags: [`example.test/${name}:1`], Layers: ["layer.tar"] }]),
  );
  const archive = engine.file(`${name}/image.tar`, "");
  await run("tar", ["-C", dirname(layer), "-cf", archive, "."], { signal: limit() });
  return archive;
}

const push = (archive: string, target: string, ...more: readonly string[]) =>
  run(
    "skopeo",
    ["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", ...more, `docker-archive:${archive}`, `docker://${target}`],
    { signal: limit() },
  );

/** The bytes of everything the engine keeps of images. */
function imageFiles(engine: TestEngine): string[] {
  const walk = (folder: string): string[] =>
    existsSync(folder)
      ? readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
          const path = join(folder, entry.name);
          if (path.split("/").length > engine.stateDir.split("/").length + 4) return [path];
          return entry.isDirectory() ? walk(path) : [path];
        })
      : [];
  return walk(join(engine.stateDir, "images")).toSorted();
}

test("images come from a registry, with a login where it wants one", async (t) => {
  const engine = await startEngine(t);
  const archive = await makeArchive(engine, "plain");
  const open = await startRegistry(t);
  await push(archive, `${open.host}/plain:1`);
  const reference = `${open.host}/plain:1`;
  await engine.apply(pod("pulled", { containers: [{ name: "main", image: reference }] }));
  await engine.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod/pulled");
  assert.match(await field(engine, "pod/pulled", ".status.containerStatuses[0].imageID"), /sha256:[0-9a-f]{64}/);
  assert.equal(await engine.kubectl("exec", "pulled", "--", "/bin/busybox", "cat", "/word"), "plain\n");
  assert.match(await engine.kubectl("get", "events"), /Pulling image .*plain:1/);

  await t.test("a login from Docker's file", async (t) => {
    const closed = await startRegistry(t, { htpasswd: await htpasswdLine("user", "pass") });
    await push(archive, `${closed.host}/plain:1`, "--dest-creds=user:pass");
    const denied = await engine.command(launcher, ["image", "pull", `${closed.host}/plain:1`]);
    assert.notEqual(denied.exitCode, 0);
    assert.match(denied.stderr, /unauthorized|authentication required/i);
    const login = engine.file(
      "login/config.json",
      JSON.stringify({ auths: { [closed.host]: { auth: Buffer.from("user:pass").toString("base64") } } }),
    );
    await engine.stop();
    await engine.start({ DOCKER_CONFIG: dirname(login) });
    await engine.peapod("image", "pull", `${closed.host}/plain:1`);
  });
});

test("a pull that fails says ErrImagePull, then ImagePullBackOff, with the reason, and leaves nothing half-made", async (t) => {
  const engine = await startEngine(t);
  const registry = await startRegistry(t);
  const before = imageFiles(engine);
  const waiting = async (name: string) =>
    `${await field(engine, `pod/${name}`, ".status.containerStatuses[0].state.waiting.reason")}: ${await field(engine, `pod/${name}`, ".status.containerStatuses[0].state.waiting.message")}`;
  await engine.apply(pod("missing", { containers: [{ ...idle("main"), image: `${registry.host}/no/such:1` }] }));
  await eventually(async () => assert.match(await waiting("missing"), /^ErrImagePull: .*(not found|manifest unknown)/i), {
    withinMs: 20_000,
    everyMs: 20,
  });
  await eventually(async () => assert.match(await waiting("missing"), /^ImagePullBackOff: Back-off pulling image/), {
    withinMs: 20_000,
    everyMs: 100,
  });
  assert.deepEqual(imageFiles(engine), before);
});

test("a pull that is interrupted leaves nothing half-made, and goes well the next time", async (t) => {
  const engine = await startEngine(t);
  const registry = await startRegistry(t);
  const archive = await makeArchive(engine, "large");
  await push(archive, `${registry.host}/large:1`);
  const before = imageFiles(engine);
  for (const afterMs of [30, 120, 250]) {
    const pulling = engine.command(launcher, ["image", "pull", `${registry.host}/large:1`]);
    await new Promise((resolve) => setTimeout(resolve, afterMs + 150)); // the moment is what the test is about
    await engine.kill();
    await pulling;
    await engine.start();
    const listed = JSON.parse(await engine.peapod("image", "list", "-o", "json")) as unknown[];
    if (listed.length === 0)
      assert.deepEqual(
        imageFiles(engine).filter((path) => !before.includes(path)),
        [],
      );
  }
  await engine.peapod("image", "pull", `${registry.host}/large:1`);
  assert.match(await engine.peapod("image", "list"), /large/);
});

test("peapod image load, list, remove and prune", async (t) => {
  const engine = await startEngine(t);
  const docker = await makeArchive(engine, "loaded");
  const layout = join(dirname(docker), "layout");
  const ociArchive = join(dirname(docker), "oci.tar");
  mkdirSync(layout);
  await run("skopeo", ["--insecure-policy", "copy", "--quiet", `docker-archive:${docker}`, `oci:${layout}:example.test/layout:1`], {
    signal: limit(),
  });
  await run(
    "skopeo",
    ["--insecure-policy", "copy", "--quiet", `docker-archive:${docker}`, `oci-archive:${ociArchive}:example.test/archive:1`],
    { signal: limit() },
  );
  // Each is called what it is called there, though it is one image.
  assert.equal(await engine.peapod("image", "load", docker), "example.test/loaded:1\n");
  assert.equal(await engine.peapod("image", "load", ociArchive), "example.test/archive:1\n");
  assert.equal(await engine.peapod("image", "load", layout), "example.test/layout:1\n");
  assert.equal(await engine.peapod("image", "load", "--name", "aaa/given", docker), "docker.io/aaa/given:latest\n");
  await engine.peapod("image", "rm", "aaa/given");
  const text = await engine.peapod("image", "list");
  for (const name of ["example.test/loaded", "example.test/layout", "example.test/archive"]) assert.match(text, new RegExp(name));
  await t.test("layers are stored once", () => {
    const used = du(join(engine.stateDir, "images"));
    assert.ok(used < 40 * 1024 * 1024, `${used} bytes for three names of one image of 26 MB`);
  });
  await applyReady(
    engine,
    pod("uses", { containers: [{ name: "main", image: "example.test/layout:1", imagePullPolicy: "Never" }] }),
    "uses",
  );
  const busy = await engine.command(launcher, ["image", "rm", "example.test/layout:1", "example.test/loaded:1", "example.test/archive:1"]);
  assert.notEqual(busy.exitCode, 0);
  assert.match(busy.stderr, /a container uses it/);
  await engine.kubectl("delete", "pod", "uses");
  await engine.peapod("image", "prune", "--all");
  assert.deepEqual(JSON.parse(await engine.peapod("image", "list", "-o", "json")), []);
  assert.ok(du(join(engine.stateDir, "images")) < 1024 * 1024);
});

test("peapod image build makes a companion's image, for a registry and as an archive", async (t) => {
  const engine = await startEngine(t);
  const registry = await startRegistry(t);
  const pushed = `${registry.host}/tools/ambassador:1`;
  assert.equal(await engine.peapod("image", "build", "ambassador", "--push", pushed), `${pushed}\n`);
  const archive = engine.file("ambassador.tar", "");
  await engine.peapod("image", "build", "ambassador", "-o", archive, "--name", "example.test/ambassador:1");
  await engine.peapod("image", "load", archive);
  const pulled = await engine.peapod("image", "pull", pushed, "peapod.local/ambassador");
  assert.deepEqual(new Set(pulled.trim().split("\n")), new Set([pushed, "peapod.local/ambassador:latest"]));
  const claimed = await engine.command(launcher, ["image", "load", "--name", "peapod.local/ambassador", archive]);
  assert.notEqual(claimed.exitCode, 0);
  assert.match(claimed.stderr, /images of peapod\.local are made on this machine/);
  const listed = JSON.parse(await engine.peapod("image", "list", "-o", "json")) as { id: string; repoTags: string[] }[];
  assert.deepEqual(
    listed.map(({ repoTags }) => repoTags.toSorted()),
    [["peapod.local/ambassador:latest", pushed, "example.test/ambassador:1"].toSorted()],
    "it is one image, whichever way it came",
  );
  for (const [args, problem] of [
    [["build"], /Name one companion/],
    [["build", "ambassador"], /Say where the image goes/],
    [["build", "no-such", "-o", "x.tar"], /There is no companion "no-such": known are ambassador/],
  ] as const) {
    const outcome = await engine.command(launcher, ["image", ...args]);
    assert.equal(outcome.exitCode, 64, outcome.stderr);
    assert.match(outcome.stderr, problem);
  }
});

function du(folder: string): number {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    if (entry.isSymbolicLink()) return sum;
    return sum + (entry.isDirectory() ? du(path) : statSync(path).size);
  }, 0);
}
