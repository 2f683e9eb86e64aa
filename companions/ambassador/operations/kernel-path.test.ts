import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "@peapod/kit";

test("a listener with datapath: kernel is forwarded, counted, reloaded and drained there, and nothing of it is left", async (t) => {
  const fixture = join(import.meta.dirname, "kernel-path.fixture.ts");
  const { stdout } = await run("unshare", ["--net", process.execPath, fixture], { signal: t.signal, timeoutMs: 30_000 });
  assert.deepEqual(JSON.parse(stdout), {
    greeting: "blue",
    echo: "hello",
    connections: "1",
    bytes: true,
    isInKernel: true,
    inProcess: false,
    changed: "green",
    still: "still",
    user: ["green", false],
    after: "after",
    again: "blue",
    left: "",
  });
});
