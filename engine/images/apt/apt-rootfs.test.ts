import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { hasCode } from "../../errors.ts";
import { nestFolders } from "../../linux/nested-folders.fixture.ts";
import { removeTree } from "../../linux/remove-tree.ts";
import { finishAptRootfs } from "./apt-rootfs.ts";

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "peapod-apt-root-"));
  t.after(() => removeTree(path));
  return path;
}

test("finishAptRootfs() removes what is only to be read, however deep, and leaves licences", async (t) => {
  const root = folder(t);
  for (const name of ["usr/share/man", "usr/share/doc/a", "usr/share/doc/b/more", "var/lib/dpkg"]) {
    mkdirSync(join(root, name), { recursive: true });
    writeFileSync(join(root, name, "copyright"), "");
  }
  symlinkSync("a", join(root, "usr/share/doc/c"));
  await nestFolders(join(root, "usr/share/man"), t.signal);
  await finishAptRootfs(root, { certificates: "/none", signal: t.signal });
  assert.deepEqual(readdirSync(join(root, "usr/share")), ["doc"]);
  const docs = ["a", "b", "c"].map((name) => readdirSync(join(root, "usr/share/doc", name)));
  assert.deepEqual(docs, [["copyright"], [], ["copyright"]]);
  assert.equal(existsSync(join(root, "var/lib/dpkg")), false);
  assert.equal(readlinkSync(join(root, "var/run")), "/run");
});

for (const [name, below] of [
  ["var", "lib/dpkg"],
  ["etc", "passwd"],
  ["usr/share", "doc/a"],
] as const) {
  test(`finishAptRootfs() changes nothing where /${name} is a link to a folder of the machine`, async (t) => {
    const [root, victim] = [folder(t), folder(t)];
    mkdirSync(join(victim, below, "kept"), { recursive: true });
    mkdirSync(join(root, "usr"));
    symlinkSync(victim, join(root, name));
    const before = readdirSync(victim, { recursive: true });
    await assert.rejects(finishAptRootfs(root, { certificates: "/none", signal: t.signal }), (error) => {
      assert.ok(hasCode(error, "IMAGE_INVALID"), String(error));
      assert.match(error.message, new RegExp(`/${name} is a symbolic link`));
      return true;
    });
    assert.deepEqual(readdirSync(victim, { recursive: true }), before);
  });
}
