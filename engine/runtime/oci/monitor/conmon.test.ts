import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createWithConmon, MonitorError } from "./conmon.ts";
import { killHalfMade } from "./monitor-identity.ts";

test("createWithConmon() gives up on a creation that hangs, and when it is told to", async () => {
  const folder = mkdtempSync(join(tmpdir(), "peapod-conmon-"));
  try {
    // As conmon does, it goes on in a second process that holds the pipes, and names its bundle.
    const conmonPath = join(folder, "conmon");
    writeFileSync(
      conmonPath,
      `#!${process.execPath}\nif (!process.argv.includes("again"))\n  require("node:child_process").spawn(process.execPath, [__filename, "again", ${JSON.stringify(folder)}], { stdio: ["inherit", "inherit", "inherit", 3] });\nsetTimeout(() => {}, 60_000);\n`,
      { mode: 0o755 },
    );
    const options = {
      conmonPath,
      runtime: { path: "/bin/false", root: folder },
      containerId: "c",
      bundle: folder,
      logPath: join(folder, "log"),
      logMaxSizeBytes: undefined,
      exitDir: folder,
      tty: false,
      stdin: false,
      adopt: undefined,
    };
    await assert.rejects(
      createWithConmon({ ...options, withinMs: 300 }, AbortSignal.any([])),
      (error) => error instanceof MonitorError && error.message === "the runtime did not create it within 300 ms",
    );
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 300);
    await assert.rejects(createWithConmon({ ...options, withinMs: 60_000 }, stop.signal), (error) => error === stop.signal.reason);
  } finally {
    await killHalfMade(folder);
    rmSync(folder, { recursive: true, force: true });
  }
});
