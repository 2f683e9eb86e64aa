import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import { withMachineLock } from "./machine-lock.ts";

test("withMachineLock() locks nothing where others could hold the lock or have it lead elsewhere", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "peapod-lock-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "in", "network.lock");
  assert.equal(await withMachineLock(path, t.signal, async () => 1), 1);
  const isRefused = async (): Promise<void> =>
    await assert.rejects(
      withMachineLock(path, t.signal, async () => assert.fail("it was done all the same")),
      (error) => hasCode(error, "MACHINE_LACKS"),
    );
  rmSync(path);
  symlinkSync("../elsewhere", path);
  await isRefused();
  assert.equal(existsSync(join(folder, "elsewhere")), false);
  rmSync(path);
  chmodSync(join(folder, "in"), 0o1777);
  await isRefused();
});
