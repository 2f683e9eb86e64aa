import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { KUBECTL, startEngine } from "./engine-fixture.ts";
import { applyReady, list, pod, shell } from "./pods.ts";

const LIMIT_BYTES = 5 * 10 * 1024 * 1024;
/** Some 8 MB/s, and 24 MB as conmon writes them: more than two files, less than all. */
const LINES = 240_000;
const count = `busybox awk -v from=$i 'BEGIN { for (n = from; n < from + 10000; n++) print n " ${"x".repeat(40)}" }'`;
const counting = `i=0; while [ $i -lt ${LINES} ]; do ${count}; i=$((i+10000)); busybox usleep 100000; done`;

test("a log that fills its files is read whole, while it is written and after; a flood stays within its bound, with and without an engine", async (t) => {
  const engine = await startEngine(t);
  const flood = `exec busybox yes ${"0123456789".repeat(10)}`;
  await applyReady(
    engine,
    list(
      pod("flood", { containers: [shell("main", flood)] }),
      pod("steady", {
        containers: [shell("main", `while [ ! -e /go ]; do busybox usleep 50000; done; ${counting}; echo done; busybox sleep 3600`)],
      }),
    ),
    "flood",
    "steady",
  );
  const followed = engine.command("sh", ["-c", `"$0" logs -f steady | head -n "$1"`, KUBECTL, String(LINES)]);
  await engine.peapod("exec", "steady", "--", "/bin/busybox", "touch", "/go");

  const overruns: string[] = [];
  const measure = (): void => {
    const bytes = sizeOf(join(engine.stateDir, "logs"), "flood");
    if (bytes > LIMIT_BYTES) overruns.push(`${bytes}`);
  };
  await t.test("the flood's last lines come and end while it goes on", async () => {
    await eventually(() => sizeOf(join(engine.stateDir, "logs"), "flood") > LIMIT_BYTES / 2, { withinMs: 30_000 });
    for (let round = 0; round < 10; round += 1) {
      // conmon may only have begun the very last line, and a file may have been lost in the flood before the first.
      assert.match(await engine.kubectl("logs", "--tail=3", "flood"), /^(?:[0-9]*\n){2}[0-9]*\n?$/);
      measure();
    }
  });
  await t.test("what is written at an ordinary pace is there to its first line", async () => {
    const { stdout } = await followed;
    assertWhole(stdout);
    await eventually(async () => assert.equal(await engine.kubectl("logs", "--tail=1", "steady"), "done\n"), { withinMs: 20_000 });
    assertWhole((await engine.kubectl("logs", "steady")).replace(/done\n$/, ""));
  });
  await t.test("without an engine the bound holds, and the next one goes on", async () => {
    await engine.kill();
    for (let look = 0; look < 20; look += 1) {
      measure();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await engine.start();
    assert.match(await engine.kubectl("logs", "--tail=1", "flood"), /^[0-9]*\n?$/);
    measure();
  });
  assert.deepEqual(overruns, []);
  await engine.kubectl("delete", "pod", "flood");
  assert.deepEqual(
    readdirSync(join(engine.stateDir, "logs")).filter((name) => name.includes("_flood_")),
    [],
  );
});

function assertWhole(log: string): void {
  const lines = log.split("\n").slice(0, -1);
  assert.equal(lines.length, LINES);
  const wrong = lines.findIndex((line, index) => line !== `${index} ${"x".repeat(40)}`);
  assert.equal(wrong, -1, `line ${wrong} is ${lines[wrong]}`);
}

/** What the log files of a pod take, each once, whatever names it has. */
function sizeOf(logsDir: string, podName: string): number {
  const folder = readdirSync(logsDir).find((name) => name.includes(`_${podName}_`));
  if (folder === undefined) return 0;
  const path = join(logsDir, folder, "main");
  const sizes = new Map<number, number>();
  for (const name of existsSync(path) ? readdirSync(path) : []) {
    const stat = statSync(join(path, name), { throwIfNoEntry: false });
    if (stat !== undefined) sizes.set(stat.ino, stat.size);
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}
