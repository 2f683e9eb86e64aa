import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Scope } from "@peapod/kit";
import { hasCode } from "./errors.ts";
import { unmount } from "./linux/libc.ts";
import { holdDirs } from "./state-dir.ts";

/** Where engines keep their state: on a disk, which the folder for temporary files need not be. */
const PLACE = "/var/lib/peapod";

/** A folder on a disk for two directories, and a scope for each holder of them. */
function someDirs(t: TestContext): { stateDir: string; runDir: string; base: string } {
  mkdirSync(PLACE, { recursive: true, mode: 0o700 });
  const base = mkdtempSync(join(PLACE, "dirs-"));
  const dirs = { base, stateDir: join(base, "state"), runDir: join(base, "run") };
  t.after(() => {
    unmount(dirs.runDir);
    rmSync(base, { recursive: true, force: true });
  });
  return dirs;
}

async function isUnusable(dirs: { stateDir: string; runDir: string }, message: RegExp): Promise<void> {
  await using scope = new Scope();
  await assert.rejects(holdDirs(dirs.stateDir, dirs.runDir, scope), (error) => {
    assert.ok(hasCode(error, "DIRECTORY_UNUSABLE"), String(error));
    assert.match(error.message, message);
    return true;
  });
}

test("holdDirs() makes directories for root alone, keeps the run directory in memory, and gives everything back", async (t) => {
  const { stateDir, runDir } = someDirs(t);
  {
    await using scope = new Scope();
    const { engineId } = await holdDirs(stateDir, runDir, scope);
    assert.match(engineId, /^[0-9a-f]{8}$/);
    assert.deepEqual(
      [stateDir, runDir].map((path) => statSync(path).mode & 0o777),
      [0o700, 0o700],
    );
    assert.notEqual(statSync(runDir).dev, statSync(stateDir).dev);
    await using second = new Scope();
    await assert.rejects(holdDirs(stateDir, runDir, second), (error) => hasCode(error, "STATE_DIR_BUSY"));
  }
  assert.equal(statSync(runDir).dev, statSync(stateDir).dev);
  assert.deepEqual(readdirSync(runDir), []);
});

test("holdDirs() removes what an engine was killed over while it wrote it, and nothing else", async (t) => {
  const { stateDir, runDir } = someDirs(t);
  const left = ".names.json.3fdf2daf-8e90-4326-b58c-63624eb0362c";
  for (const folder of [stateDir, join(stateDir, "kept-pods")]) {
    mkdirSync(folder, { mode: 0o700 });
    for (const name of [left, ".hidden", "names.json"]) writeFileSync(join(folder, name), "");
  }
  await using scope = new Scope();
  await holdDirs(stateDir, runDir, scope);
  assert.deepEqual(readdirSync(stateDir).toSorted(), [".hidden", "engine-id", "engine.lock", "kept-pods", "names.json"]);
  assert.deepEqual(readdirSync(join(stateDir, "kept-pods")).toSorted(), [".hidden", "names.json"]);
});

test("holdDirs() mounts nothing over a run directory that is not empty", async (t) => {
  const dirs = someDirs(t);
  mkdirSync(dirs.runDir, { mode: 0o700 });
  writeFileSync(join(dirs.runDir, "kept"), "");
  await isUnusable(dirs, /run directory .*run in memory: it is on a disk, and not empty \(kept\)/);
  assert.ok(existsSync(join(dirs.runDir, "kept")));
});

test("holdDirs() takes over no folder that others own or can write to", async (t) => {
  const dirs = someDirs(t);
  mkdirSync(dirs.stateDir);
  chmodSync(dirs.stateDir, 0o1777);
  await isUnusable(dirs, /others can write to .*state \(mode 1777\)/);
  assert.equal(statSync(dirs.stateDir).mode & 0o7777, 0o1777);
  chmodSync(dirs.stateDir, 0o755);
  chownSync(dirs.stateDir, 65534, 65534);
  await isUnusable(dirs, /state belongs to user 65534/);
});

test("holdDirs() writes through no link where its lock should be", async (t) => {
  const { base, stateDir, runDir } = someDirs(t);
  mkdirSync(stateDir, { mode: 0o700 });
  writeFileSync(join(base, "precious"), "kept");
  symlinkSync("../precious", join(stateDir, "engine.lock"));
  await using scope = new Scope();
  await assert.rejects(holdDirs(stateDir, runDir, scope), { code: "ELOOP" });
  assert.equal(readFileSync(join(base, "precious"), "utf8"), "kept");
});
