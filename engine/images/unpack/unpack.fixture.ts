/** Test support: layers that are unpacked on top of each other. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, open, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type FixtureEntry, makeTar } from "../layout.fixture.ts";
import { defaultLimits, type LayerLimits } from "./layer-limits.ts";
import { Unpacker } from "./unpack.ts";

const signal = new AbortController().signal;

/** Unpacks each on top of those before it. `folder` is the last one's. */
export async function unpackAll(
  t: TestContext,
  layers: readonly Uint8Array[],
  options: { limits?: Partial<LayerLimits>; purpose?: "files" } = {},
) {
  const base = await mkdtemp(join(tmpdir(), "peapod-unpack-"));
  t.after(() => rm(base, { recursive: true, force: true }));
  const linksDir = join(base, "l");
  await mkdir(linksDir);
  await using files = new AsyncDisposableStack();
  const archives: number[] = [];
  for (const [index, bytes] of layers.entries()) {
    await writeFile(join(base, `${index}.tar`), bytes);
    archives.push(files.use(await open(join(base, `${index}.tar`))).fd);
  }
  await using unpacker = new Unpacker(archives, signal);
  const results = [];
  for (const index of layers.keys()) {
    const workDir = join(base, `layer${index}`);
    await mkdir(workDir);
    const below = { linksDir, links: [...Array(index).keys()].map(String), workDir: `../layer${index}` };
    const result = await unpacker.unpack(index, {
      folder: join(workDir, "diff"),
      what: "layer x",
      purpose: options.purpose ?? "layer",
      limits: { ...defaultLimits, ...options.limits },
      ...(index === 0 ? {} : { below }),
    });
    assert.deepEqual(await readdir(workDir), ["diff"], "the layer alone");
    await symlink(`../layer${index}/diff`, join(linksDir, String(index)));
    results.push(result);
  }
  const last = results.at(-1);
  assert.ok(last !== undefined);
  return { ...last, folder: join(base, `layer${layers.length - 1}/diff`), base };
}

/** Unpacks one. */
export const unpackBytes = async (t: TestContext, bytes: Uint8Array, limits: Partial<LayerLimits> = {}) =>
  unpackAll(t, [bytes], { limits });

/** Unpacks one of these entries. */
export const unpackEntries = async (t: TestContext, entries: FixtureEntry[]) => unpackBytes(t, await makeTar(entries));
