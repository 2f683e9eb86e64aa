import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { createLevelLogger } from "./level-logger.ts";
import { createLogWriter } from "./log-writer.ts";

test("createLogWriter() keeps the order of lines, and flush() writes what is left", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "ambassador-log-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "log");
  const writer = createLogWriter(openSync(path, "w"));
  const lines = Array.from({ length: 5_000 }, (_, index) => `line ${index}\n`);
  for (const line of lines.slice(0, 4_999)) writer.write(line);
  await eventually(async () => (await readFile(path, "utf8")) === lines.slice(0, 4_999).join(""), { withinMs: 2_000 });
  writer.write(lines.at(-1) ?? "");
  await writer.flush();
  assert.equal(await readFile(path, "utf8"), lines.join(""));
});

test("createLogWriter() never waits for a reader that is stuck: it drops lines, counts them, and ends", async () => {
  const source = `
    import { createLogWriter } from ${JSON.stringify(join(import.meta.dirname, "log-writer.ts"))};
    const writer = createLogWriter(2);
    const line = "x".repeat(1023) + "\\n";
    for (let count = 0; count < 4096; count += 1) { writer.write(line); await new Promise(setImmediate); }
    process.stdout.write("went on\\n");
    process.stdin.once("data", () => { writer.write("last\\n"); process.stdin.destroy(); });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source], { stdio: "pipe" });
  child.stderr.pause();
  await new Promise((resolve) => child.stdout.once("data", resolve)); // the pipe took 64 KiB at most of the 4 MiB
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  child.stderr.resume();
  await eventually(() => said.includes('"message":"log lines dropped'), { withinMs: 5_000 });
  child.stdin.end("go on\n");
  await new Promise((resolve) => child.once("close", resolve));
  assert.match(said, /"dropped":\d{3,}/);
  assert.match(said, /last\n$/);
});

test("createLevelLogger() follows a change of its level, also in loggers made from it", () => {
  const lines: string[] = [];
  const log = createLevelLogger({ level: "warn", write: (line) => void lines.push(line) });
  const child = log.with({ listener: "db" });
  child.info("not yet");
  log.setLevel("info");
  child.info("now");
  log.debug("never");
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { message: string }).message), // what it wrote
    ["now"],
  );
});
