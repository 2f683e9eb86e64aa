import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, Scope, silentLogger } from "@peapod/kit";
import { hasCode } from "../../errors.ts";
import type { PullProgress } from "../images.ts";
import { digestOf, type FixtureImage, makeTar, writeLayout } from "../layout.fixture.ts";
import { findLogin } from "./logins.ts";
import { openImages } from "../open-images.ts";
import { push, registryLogin, startProxy, startRegistry } from "./registry.fixture.ts";

const never = new AbortController().signal;

async function setUp(scope: Scope, options: { withLogin?: boolean } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "peapod-registry-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const direct = await startRegistry(folder, scope, options);
  const proxy = await startProxy(direct, scope);
  const dirs = { stateDir: join(folder, "state"), runDir: join(folder, "run") };
  const open = (within: Scope) => openImages({ ...dirs, log: silentLogger, scope: within, inUse: () => new Set() });
  let layouts = 0;
  const publish = async (name: string, image: FixtureImage, format?: "v2s2") => {
    const layout = join(folder, `layout${(layouts += 1)}`);
    const [digest] = await writeLayout(layout, [image]);
    await push(`oci:${layout}`, `${direct}/${name}`, format === undefined ? {} : { format });
    return digest ?? "";
  };
  return { folder, direct, registry: proxy.address, proxy, images: await open(scope), open, publish, ...dirs };
}

/** Everything that a pull could have left. */
async function leftIn(stateDir: string): Promise<string[]> {
  const folders = await Promise.all(["tmp", "layers", "images", "l"].map((name) => readdir(join(stateDir, "images", name))));
  return folders.flat();
}

test("pullImage() brings an image from a registry, and downloads only the layers that are not here", async () => {
  await using scope = new Scope();
  const { registry, proxy, images, publish, stateDir } = await setUp(scope);
  const base = await makeTar([
    { name: "etc/", type: "directory", mode: 0o755 },
    { name: "etc/hello", content: "hello" },
    { name: "gone", content: "x" },
  ]);
  const top = await makeTar([{ name: "etc/more", content: "more" }, { name: ".wh.gone" }]);
  const config = { Entrypoint: ["/two"], Env: ["A=b"], User: "1:2", WorkingDir: "/w", StopSignal: "SIGQUIT" };
  await publish("test/one:1", { layers: [base], config: { Cmd: ["/bin/one"] } });
  const digest = await publish("test/two", { layers: [base, top], config });

  const one = await images.pullImage(`${registry}/test/one:1`, never);
  assert.deepEqual(one.config.cmd, ["/bin/one"]);
  assert.equal(proxy.blobs.length, 2);
  const two = await images.pullImage(`${registry}/test/two`, never);
  assert.equal(proxy.blobs.length, 4, "configuration and layer of the first, and of the second");
  assert.deepEqual(two.config, {
    entrypoint: ["/two"],
    cmd: [],
    env: ["A=b"],
    user: "1:2",
    workingDir: "/w",
    stopSignal: "SIGQUIT",
    volumes: [],
  });
  assert.deepEqual(
    [two.repoTags, two.repoDigests, two.sizeBytes],
    [[`${registry}/test/two:latest`], [`${registry}/test/two@${digest}`], 10],
  );
  assert.equal((await images.pullImage(`${registry}/test/two@${digest}`, never)).id, two.id);
  assert.equal((await images.pullImage(`${registry}/test/two:latest`, never)).id, two.id);
  assert.equal(proxy.blobs.length, 4, "an image that is here is not downloaded again");

  const root = await images.mountRootfs(two.id, "c1", never);
  assert.deepEqual(
    [await readdir(root), await readFile(join(root, "etc/more"), "utf8"), await readFile(join(root, "etc/hello"), "utf8")],
    [["etc"], "more", "hello"],
  );
  await images.removeRootfs("c1", never);
  assert.deepEqual(await readdir(join(stateDir, "images/tmp")), []);
});

test("pullImage() keeps what it downloaded until the last of many layers is unpacked", async () => {
  await using scope = new Scope();
  const { registry, images, publish } = await setUp(scope);
  const names = Array.from({ length: 12 }, (_, index) => `file${String(index).padStart(2, "0")}`);
  const layers = await Promise.all(names.map((name) => makeTar([{ name, content: randomBytes(64 * 1024).toString("hex") }])));
  await publish("test/many:1", { layers, config: {} });
  const image = await images.pullImage(`${registry}/test/many:1`, never);
  const root = await images.mountRootfs(image.id, "many", never);
  assert.deepEqual((await readdir(root)).toSorted(), names);
  await images.removeRootfs("many", never);
});

test("pullImage() takes Docker's manifests, and of several platforms the machine's", async () => {
  await using scope = new Scope();
  const { folder, direct, registry, images, publish } = await setUp(scope);
  await publish("test/docker:1", { layers: [await makeTar([{ name: "docker", content: "d" }])] }, "v2s2");
  assert.equal((await images.pullImage(`${registry}/test/docker:1`, never)).sizeBytes, 1);

  const architectures = ["s390x", process.arch === "x64" ? "amd64" : process.arch];
  const made = architectures.map(async (architecture) => ({
    layers: [await makeTar([{ name: architecture, content: architecture }])],
    platform: { os: "linux", architecture },
  }));
  const layout = join(folder, "multi");
  await writeLayout(layout, await Promise.all(made));
  const list = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      ...(JSON.parse(await readFile(join(layout, "index.json"), "utf8")) as object),
    }),
  );
  await writeFile(join(layout, "blobs/sha256", digestOf(list).slice(7)), list);
  const top = { mediaType: "application/vnd.oci.image.index.v1+json", digest: digestOf(list), size: list.length };
  await writeFile(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [top] }));
  await push(`oci:${layout}`, `${direct}/test/multi:1`, { all: true });
  const image = await images.pullImage(`${registry}/test/multi:1`, never);
  assert.deepEqual(image.repoDigests, [`${registry}/test/multi@${digestOf(list)}`]);
  assert.deepEqual(await readdir(await images.mountRootfs(image.id, "m", never)), [architectures[1]]);
  await images.removeRootfs("m", never);
});

test("pullImage() moves a tag to the newer image, and the older one is left for prune", async () => {
  await using scope = new Scope();
  const { registry, images, publish } = await setUp(scope);
  await publish("test/app:1", { layers: [await makeTar([{ name: "v", content: "old" }])] });
  const old = await images.pullImage(`${registry}/test/app:1`, never);
  await publish("test/app:1", { layers: [await makeTar([{ name: "v", content: "newer" }])] });
  const newer = await images.pullImage(`${registry}/test/app:1`, never);
  assert.equal((await images.imageStatus(`${registry}/test/app:1`, never))?.id, newer.id);
  assert.deepEqual((await images.imageStatus(old.id, never))?.repoDigests, []);
  assert.deepEqual(await images.prune({ all: false }), { deleted: [old.id], freedBytes: 3 });
});

test("pullImage() says what went wrong, and leaves nothing", async () => {
  await using scope = new Scope();
  const { registry, images, stateDir, publish } = await setUp(scope);
  const is = (code: "IMAGE_NOT_FOUND" | "IMAGE_PULL_FAILED" | "IMAGE_INVALID", message: RegExp) => (error: unknown) =>
    hasCode(error, code) && message.test(error.message) && !error.message.includes("\n");
  await assert.rejects(
    images.pullImage(`${registry}/no/such:thing`, never),
    is("IMAGE_NOT_FOUND", /no\/such:thing" is not in its registry: (?:manifest|name) unknown/),
  );
  await assert.rejects(images.pullImage("127.0.0.1:1/a:1", never), is("IMAGE_PULL_FAILED", /connection refused/));
  await assert.rejects(images.pullImage("registry.invalid/a:1", never), is("IMAGE_PULL_FAILED", /no such host|server misbehaving/));
  await publish("test/evil:1", { layers: [await makeTar([{ name: "fine" }]), await makeTar([{ name: "../../escape", content: "x" }])] });
  await assert.rejects(
    images.pullImage(`${registry}/test/evil:1`, never),
    is("IMAGE_INVALID", /layer sha256:\w+ of .*test\/evil:1: entry "\.\.\/\.\.\/escape"/),
  );
  assert.deepEqual([await images.listImages(), await readdir(join(stateDir, "images/tmp"))], [[], []]);
});

test("pullImage() logs in with the login file that Podman and skopeo write", async () => {
  await using scope = new Scope();
  const { folder, registry, publish, direct, stateDir, runDir } = await setUp(scope, { withLogin: true });
  await publish("private/app:1", { layers: [await makeTar([{ name: "secret", content: "s" }])] });
  const authFile = join(folder, "auth.json");
  await writeFile(authFile, JSON.stringify({ auths: { [registry]: { auth: Buffer.from(registryLogin).toString("base64") } } }));
  const code = `
    import { openImages } from ${JSON.stringify(new URL("../open-images.ts", import.meta.url).href)};
    import { Scope, silentLogger } from "@peapod/kit";
    await using scope = new Scope();
    const images = await openImages({ stateDir: ${JSON.stringify(stateDir)}, runDir: ${JSON.stringify(runDir)}, log: silentLogger, scope, inUse: () => new Set() });
    try { console.log((await images.pullImage(process.argv[1], scope.signal)).sizeBytes); } catch (error) { console.log(error.code, error.message); }`;
  const pullWith = async (env: Record<string, string>, name: string) => {
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", code, name], {
      cwd: import.meta.dirname,
      env: { PATH: process.env["PATH"] ?? "", HOME: folder, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    return Buffer.concat(await child.stdout.toArray())
      .toString()
      .trim();
  };
  assert.match(await pullWith({}, `${registry}/private/app:1`), /^IMAGE_PULL_FAILED .*(?:authentication required|unauthorized).*log in/);
  assert.equal(await pullWith({ REGISTRY_AUTH_FILE: authFile }, `${registry}/private/app:1`), "1");
  await mkdir(join(folder, ".docker"));
  await writeFile(
    join(folder, ".docker/config.json"),
    JSON.stringify({ auths: { [direct]: { auth: Buffer.from(registryLogin).toString("base64") } } }),
  );
  assert.equal(await pullWith({}, `${direct}/private/app:1`), "1");
});

test("findLogin() asks Docker's credential store, which skopeo does not", async () => {
  await using scope = new Scope();
  const folder = await mkdtemp(join(tmpdir(), "peapod-login-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const helper = `#!/bin/sh\nread -r host; [ "$host" = h.example ] && echo '{"ServerURL":"h.example","Username":"me","Secret":"s:cret"}' || { echo "credentials not found"; exit 1; }\n`;
  await writeFile(join(folder, "docker-credential-peapodtest"), helper, { mode: 0o755 });
  const path = process.env["PATH"] ?? "";
  process.env["PATH"] = `${folder}:${path}`;
  scope.defer(() => void (process.env["PATH"] = path));
  const config = join(folder, "config.json");
  assert.equal(await findLogin("h.example", folder, never, config), undefined, "without a file");
  await writeFile(config, JSON.stringify({ credsStore: "peapodtest" }));
  assert.equal(await findLogin("other.example", folder, never, config), undefined, "the store has none");
  const file = await findLogin("h.example", folder, never, config);
  assert.deepEqual(JSON.parse(await readFile(file ?? "", "utf8")), {
    auths: { "h.example": { auth: Buffer.from("me:s:cret").toString("base64") } },
  });
});

test("pullImage() reports what it does, and how far it is", async () => {
  await using scope = new Scope();
  const { registry, proxy, images, publish } = await setUp(scope);
  await publish("test/big:1", { layers: [await makeTar([{ name: "noise", content: randomBytes(1_000_000) }])] });
  const seen: PullProgress[] = [];
  const stop = new AbortController();
  const listening = (async () => {
    for await (const progress of images.progress(stop.signal)) seen.push(progress);
  })();
  proxy.holdAfterBytes = 400_000;
  const pull = images.pullImage(`${registry}/test/big:1`, scope.signal);
  pull.catch(() => {});
  const held = await eventually(() => seen.find(({ currentBytes = 0 }) => currentBytes >= 300_000) ?? false, { withinMs: 10_000 });
  assert.deepEqual([held.phase, held.reference], ["downloading", `${registry}/test/big:1`]);
  assert.ok((held.currentBytes ?? 0) <= 410_000 && (held.totalBytes ?? 0) > 1_000_000, JSON.stringify(held));
  await scope[Symbol.asyncDispose]();
  await assert.rejects(pull);
  await eventually(() => seen.at(-1)?.phase === "failed", { withinMs: 1000 });
  assert.equal(seen[0]?.phase, "resolving");
  stop.abort();
  await listening;
});

test("pullImage() leaves nothing when it is aborted midway, and a second caller keeps it going", async () => {
  await using scope = new Scope();
  const { registry, proxy, images, publish, stateDir } = await setUp(scope);
  await publish("test/big:1", {
    layers: [await makeTar([{ name: "small", content: "s" }]), await makeTar([{ name: "noise", content: randomBytes(1_000_000) }])],
  });
  proxy.holdAfterBytes = 500_000;
  const [first, second] = [new AbortController(), new AbortController()];
  const pulls = [first, second].map(({ signal }) => images.pullImage(`${registry}/test/big:1`, signal));
  for (const pull of pulls) pull.catch(() => {});
  await eventually(() => proxy.blobs.length >= 2, { withinMs: 10_000 });
  first.abort();
  await assert.rejects(pulls[0] ?? never.reason, (error) => error === first.signal.reason);
  assert.equal((await readdir(join(stateDir, "images/tmp"))).length, 1, "the second still waits");
  second.abort();
  await assert.rejects(pulls[1] ?? never.reason, (error) => error === second.signal.reason);
  assert.deepEqual(await leftIn(stateDir), []);
  proxy.holdAfterBytes = undefined;
  assert.equal((await images.pullImage(`${registry}/test/big:1`, never)).sizeBytes, 1_000_001);
});

test("openImages() finds nothing half-made after the process that pulled was killed", async () => {
  await using scope = new Scope();
  const { registry, proxy, open, publish, stateDir, runDir } = await setUp(scope);
  await publish("test/big:1", {
    layers: [await makeTar([{ name: "small", content: "s" }]), await makeTar([{ name: "noise", content: randomBytes(1_000_000) }])],
  });
  proxy.holdAfterBytes = 500_000;
  const code = `
    import { openImages } from ${JSON.stringify(new URL("../open-images.ts", import.meta.url).href)};
    import { Scope, silentLogger } from "@peapod/kit";
    const scope = new Scope();
    const images = await openImages({ stateDir: ${JSON.stringify(stateDir)}, runDir: ${JSON.stringify(runDir)}, log: silentLogger, scope, inUse: () => new Set() });
    await images.pullImage(${JSON.stringify(`${registry}/test/big:1`)}, scope.signal);`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", code], { cwd: import.meta.dirname, stdio: "ignore" });
  await eventually(
    async () => (await readdir(join(stateDir, "images/tmp"), { recursive: true })).some((path) => path.includes("oci-put-blob")),
    { withinMs: 10_000 },
  );
  child.kill("SIGKILL");
  await once(child, "exit");
  await eventually(async () => !(await commandLines()).some((line) => line.includes(registry)), { withinMs: 2000 });
  await using later = new Scope();
  const images = await open(later);
  assert.deepEqual([await leftIn(stateDir), await images.listImages()], [[], []]);
  proxy.holdAfterBytes = undefined;
  assert.equal((await images.pullImage(`${registry}/test/big:1`, never)).sizeBytes, 1_000_001);
});

async function commandLines(): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  return Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
}
