import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Scope, silentLogger } from "@peapod/kit";
import { hasCode } from "../errors.ts";
import { makeTar, writeLayout } from "./layout-fixture.ts";
import { openImages } from "./open-images.ts";
import { push, startRegistry } from "./registry-fixture.ts";

const never = new AbortController().signal;

async function setUp(scope: Scope, options: { withLogin?: boolean } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "peapod-images-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const registry = await startRegistry(folder, scope, options);
  const dirs = { stateDir: join(folder, "state"), runDir: join(folder, "run") };
  const images = await openImages({ ...dirs, log: silentLogger, scope, inUse: () => new Set() });
  return { folder, registry, images, ...dirs };
}

test("pullImage() brings an image from a registry, mounts like any other, and shares layers", async () => {
  await using scope = new Scope();
  const { folder, registry, images, stateDir } = await setUp(scope);
  const base = await makeTar([{ name: "etc/", type: "directory", mode: 0o755 }, { name: "etc/hello", content: "hello" }, { name: "gone", content: "x" }]);
  const top = await makeTar([{ name: "etc/more", content: "more" }, { name: ".wh.gone" }]);
  await writeLayout(join(folder, "one"), [{ layers: [base], config: { Cmd: ["/bin/one"] } }]);
  const [digest] = await writeLayout(join(folder, "two"), [{ layers: [base, top], config: { Entrypoint: ["/two"], Env: ["A=b"], User: "1:2", WorkingDir: "/w", StopSignal: "SIGQUIT" } }]);
  await push(`oci:${join(folder, "one")}`, `${registry}/test/one:1`);
  await push(`oci:${join(folder, "two")}`, `${registry}/test/two`);

  const one = await images.pullImage(`${registry}/test/one:1`, never);
  assert.deepEqual(one.config.cmd, ["/bin/one"]);
  const two = await images.pullImage(`${registry}/test/two`, never);
  assert.deepEqual(two.repoTags, [`${registry}/test/two:latest`]);
  assert.deepEqual(two.repoDigests, [`${registry}/test/two@${digest}`]);
  assert.equal((await readdir(join(stateDir, "images/layers"))).length, 2);

  const root = await images.mountRootfs(two.id, "c1");
  assert.deepEqual(await readdir(root), ["etc"]);
  assert.equal(await readFile(join(root, "etc/more"), "utf8"), "more");
  assert.equal(await images.mountRootfs(two.id, "c1"), root);
  await images.removeRootfs("c1");
  assert.deepEqual(await images.listRootfs(), []);
  assert.deepEqual(await readdir(join(stateDir, "images/tmp")), []);
});

test("pullImage() says that there is no such image", async () => {
  await using scope = new Scope();
  const { registry, images } = await setUp(scope);
  await assert.rejects(images.pullImage(`${registry}/no/such:thing`, never), (error) => { console.log(error); return hasCode(error, "IMAGE_NOT_FOUND"); });
  await assert.rejects(images.pullImage(`127.0.0.1:1/no/such:thing`, never), (error) => { console.log(error); return hasCode(error, "IMAGE_PULL_FAILED"); });
  await assert.rejects(images.pullImage(`nosuchhost.invalid/no/such:thing`, never), (error) => { console.log(error); return hasCode(error, "IMAGE_PULL_FAILED"); });
});
