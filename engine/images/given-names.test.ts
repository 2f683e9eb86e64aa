import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Scope, silentLogger } from "@peapod/kit";
import { hasCode } from "../errors.ts";
import { removeTree } from "../linux/remove-tree.ts";
import { makeTar, writeLayout } from "./layout.fixture.ts";
import { openImages } from "./open-images.ts";

const never = new AbortController().signal;

/** Layouts with images of these names, each with content of its own. */
async function setUp(scope: Scope) {
  const folder = await mkdtemp(join(tmpdir(), "peapod-names-"));
  scope.defer(() => removeTree(folder));
  const images = await openImages({
    stateDir: join(folder, "state"),
    runDir: join(folder, "run"),
    log: silentLogger,
    scope,
    inUse: () => new Set(),
  });
  let count = 0;
  const layout = async (...names: readonly string[]): Promise<string> => {
    const path = join(folder, `layout${(count += 1)}`);
    const layers = async (name: string) => [await makeTar([{ name: "f", content: `${name}${count}` }])];
    await writeLayout(path, await Promise.all(names.map(async (name) => ({ name, layers: await layers(name) }))));
    return path;
  };
  return { images, layout };
}

test("loadImages() gives what it loaded the name it was given, and says by what names it is called", async () => {
  await using scope = new Scope();
  const { images, layout } = await setUp(scope);
  const path = await layout("example.test/me/plain:7");
  const [first] = await images.loadImages(path, {}, never);
  assert.deepEqual(first?.names, ["example.test/me/plain:7"]);
  const other = await layout("example.test/me/plain:7");
  const [second] = await images.loadImages(other, { reference: "my/own:1" }, never);
  assert.deepEqual([second?.names, second?.repoTags], [["docker.io/my/own:1"], ["docker.io/my/own:1"]]);
  assert.equal((await images.imageStatus("example.test/me/plain:7", never))?.id, first?.id, "the archive's own name is left alone");
  const [again] = await images.loadImages(path, { reference: "aaa" }, never);
  assert.deepEqual(again?.names, ["docker.io/library/aaa:latest"]);
  const [without] = await images.loadImages(await layout("latest"), {}, never);
  assert.deepEqual(without?.names, []);
  const two = await layout("example.test/one:1", "example.test/two:1");
  await assert.rejects(
    images.loadImages(two, { reference: "my/own:1" }, never),
    (error) => hasCode(error, "IMAGE_INVALID") && /has 2 images, and "docker.io\/my\/own:1" can name only one/.test(error.message),
  );
});

test("loadImages() lets nothing take a name that the engine answers for, or the digest of a registry's image", async () => {
  await using scope = new Scope();
  const { images, layout } = await setUp(scope);
  for (const name of ["peapod.local/ambassador:latest", "peapod.local/ambassador", "apt.local/busybox:bookworm"]) {
    const path = await layout("example.test/beside:1", name);
    await assert.rejects(images.loadImages(path, {}, never), (error) => {
      assert.ok(hasCode(error, "IMAGE_NAME_INVALID"), String(error));
      assert.match(error.message, new RegExp(`^Cannot load ${path}: Image name "${name}" cannot be given: .* with --name$`));
      return true;
    });
    await assert.rejects(images.loadImages(path, { reference: name }, never), (error) => hasCode(error, "IMAGE_NAME_INVALID"));
    assert.deepEqual(await images.listImages(), [], "nothing of the archive is brought in");
  }
  const digest = `docker.io/library/nginx@sha256:${"1".repeat(64)}`;
  const [loaded] = await images.loadImages(await layout(digest), {}, never);
  assert.deepEqual(loaded?.repoDigests, []);
  assert.equal(await images.imageStatus(digest, never), undefined);
});
