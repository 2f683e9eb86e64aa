import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { eventually } from "./eventually.ts";
import { run } from "./run.ts";
import { watchFolder } from "./watch-folder.ts";

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "peapod-watch-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("watchFolder() names what changes, until it is disposed of", async (t) => {
  const folder = temporaryFolder(t);
  const names: (string | undefined)[] = [];
  const watching = watchFolder(folder, (name) => names.push(name));
  writeFileSync(join(folder, "a"), "");
  await eventually(() => names.includes("a"), { withinMs: 5_000, everyMs: 5 });
  watching[Symbol.dispose]();
  writeFileSync(join(folder, "b"), "");
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(names.includes("b"), false);
});

test("watchFolder() waits for a folder that is not there yet", async (t) => {
  const folder = join(temporaryFolder(t), "later");
  let changes = 0;
  using _watching = watchFolder(folder, () => (changes += 1), 5);
  mkdirSync(folder);
  let written = 0;
  await eventually(
    () => {
      writeFileSync(join(folder, `${(written += 1)}`), "");
      return changes > 0;
    },
    { withinMs: 5_000, everyMs: 5 },
  );
});

test("watchFolder() does without the machine's inotify instances, and takes one once there is one", async (t) => {
  const folder = temporaryFolder(t);
  const limit = "/proc/sys/user/max_inotify_instances"; // of the new user namespace alone
  const program = `
    import { watch, writeFileSync } from "node:fs";
    import { eventually, watchFolder } from ${JSON.stringify(import.meta.resolve("./index.ts"))};
    let refused;
    try { watch(${JSON.stringify(folder)}).close(); } catch (error) { refused = error.code; }
    let changes = 0;
    using watching = watchFolder(${JSON.stringify(folder)}, () => (changes += 1), 5);
    writeFileSync(${JSON.stringify(join(folder, "before"))}, "");
    console.log(refused, changes);
    writeFileSync(${JSON.stringify(limit)}, "10");
    let written = 0;
    await eventually(() => {
      writeFileSync(${JSON.stringify(folder)} + "/" + (written += 1), "");
      return changes > 0;
    }, { withinMs: 5_000, everyMs: 5 });
    console.log("told");`;
  const script = `echo 0 > ${limit} && exec "$0" --input-type=module -e "$1"`;
  const { stdout } = await run("unshare", ["--user", "--map-root-user", "sh", "-c", script, process.execPath, program], {
    signal: t.signal,
    timeoutMs: 30_000,
  });
  assert.equal(stdout, "EMFILE 0\ntold\n");
});
