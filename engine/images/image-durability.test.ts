import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, watch } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Scope, silentLogger } from "@peapod/kit";
import { removeTree } from "../linux/remove-tree.ts";
import { makeTar, writeLayout } from "./layout.fixture.ts";
import { openImages } from "./open-images.ts";

const never = new AbortController().signal;

function must(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  assert.equal(status, 0, `${command} ${args.join(" ")}: ${stderr}`);
  return stdout.trim();
}

/** Mounts a disk that is a file, as a machine would after a power failure: what the journal has is taken. */
function mountDisk(disk: string, at: string, scope: Scope): void {
  must("mount", "-o", "loop", disk, at);
  scope.defer(() => void must("umount", "--lazy", at));
}

const names = ["low", "middle", "top"] as const;
const contents = Object.fromEntries(names.map((name) => [name, randomBytes(200_000).toString("hex")]));
const layers = await Promise.all(names.map((name) => makeTar([{ name, content: contents[name] ?? "" }])));

/** What of the image is there, on a disk as it was at some moment: nothing, all of it, or its name, too. */
async function afterPowerFailure(disk: string, folder: string): Promise<"nothing" | "whole" | "named"> {
  await using scope = new Scope();
  const at = await mkdtemp(join(folder, "mounted-"));
  mountDisk(disk, at, scope);
  const images = await openImages({ stateDir: at, runDir: join(folder, "run"), log: silentLogger, scope, inUse: () => new Set() });
  const [image] = await images.listImages();
  if (image === undefined) {
    assert.deepEqual([await images.imageStatus("x:1", never), await readdir(join(at, "images/layers"))], [undefined, []]);
    return "nothing";
  }
  const root = await images.mountRootfs(image.id, "k", never);
  try {
    for (const name of names) assert.deepEqual(await readFile(join(root, name), "utf8"), contents[name]);
  } finally {
    await images.removeRootfs("k", never);
  }
  return image.repoTags.length === 0 ? "whole" : "named";
}

test("an image survives a power failure whole, or is not there, and it is there once it was said to be", { timeout: 120_000 }, async () => {
  await using scope = new Scope();
  const folder = await mkdtemp(join(tmpdir(), "peapod-power-"));
  scope.defer(() => removeTree(folder));
  const [disk, at] = [join(folder, "disk"), join(folder, "state")];
  must("truncate", "--size", "24M", disk);
  must("mkfs.ext4", "-q", disk);
  await mkdir(at);
  mountDisk(disk, at, scope);
  const images = await openImages({ stateDir: at, runDir: join(folder, "run"), log: silentLogger, scope, inUse: () => new Set() });
  must("sync", "--file-system", at);
  await writeLayout(join(folder, "layout"), [{ name: "x:1", layers }]);
  // The disk's state at each step: whatever is only in memory then is lost in the copy.
  const copies: string[] = [];
  const copy = (): void => {
    copies.push(join(folder, `copy${copies.length}`));
    copyFileSync(disk, copies.at(-1) ?? "");
  };
  const watchers = ["layers", "images", "."].map((name) => watch(join(at, "images", name), copy));
  await images.loadImages(join(folder, "layout"), {}, never);
  copy();
  for (const watcher of watchers) watcher.close();
  const found = [];
  for (const each of copies) found.push(await afterPowerFailure(each, folder));
  assert.equal(found.at(-1), "named", "it was said to be there");
  assert.equal(found[0], "nothing");
  assert.ok(copies.length >= 4, "layers, record and names came one after the other");
});
