import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { run } from "@peapod/kit";

test("preferThisThread() raises this thread alone, not what it starts", async (t) => {
  const program = fileURLToPath(new URL("./priority.fixture.ts", import.meta.url));
  const { stdout } = await run(process.execPath, [program], { signal: t.signal });
  assert.deepEqual(JSON.parse(stdout), { isAllowed: true, own: -10, child: 0, thread: 0 });
});
