import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { run } from "@peapod/kit";

test("preferThisProcess() raises the threads and the session that there are, not what they start", async (t) => {
  const program = fileURLToPath(new URL("./priority.fixture.ts", import.meta.url));
  const { stdout } = await run("setsid", ["--wait", process.execPath, program], { signal: t.signal });
  assert.deepEqual(JSON.parse(stdout), { isAllowed: true, own: [-10], child: 0, thread: 0, groups: [-10, 0] });
});
