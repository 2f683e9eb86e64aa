import assert from "node:assert/strict";
import { test } from "node:test";
import { runFaults } from "./fault-run.ts";

test("kill -9 of the engine at random moments loses no container, log line or acknowledged write, runs nothing twice and leaves nothing", async (t) => {
  const findings = await runFaults(t, 15, (line) => t.diagnostic(line));
  assert.deepEqual(findings, { containers: [], logLines: [], acknowledgedWrites: [] });
});
