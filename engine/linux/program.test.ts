import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { CommandError, eventually, run } from "@peapod/kit";
import { startInThread, startProgram } from "./program.ts";

const shell = async (script: string): ReturnType<typeof startProgram> => await startProgram({ command: "sh", args: ["-c", script] });

test("startProgram() joins a program to pipes and tells how it ended", async () => {
  const program = await shell("cat; echo said >&2; pwd; exit 7");
  program.stdin.end("heard\n");
  assert.deepEqual(await Promise.all([text(program.stdout), text(program.stderr)]), ["heard\n/\n", "said\n"]);
  assert.deepEqual(await program.exited, { exitCode: 7, signal: null });
  assert.deepEqual(await program.ended, { exitCode: 7, signal: null });
  assert.equal(readdirSync("/proc").includes(String(program.pid)), false, "it is reaped");
  program.kill("SIGKILL"); // nobody any more
});

test("startProgram() tells of an end whose output goes on, and of a kill whose children go on", async () => {
  for (const { script, end } of [
    { script: "exec 3>&-; sleep 1000 & echo $!; exit 3", end: { exitCode: 3, signal: null } },
    { script: "sleep 1000 & echo $!; wait", end: { exitCode: null, signal: "SIGKILL" } },
  ]) {
    const program = await shell(script);
    const sleeper = Number(await new Promise((resolve) => program.stdout.once("data", (chunk) => resolve(String(chunk)))));
    if (end.signal !== null) program.kill("SIGKILL");
    assert.deepEqual(await program.exited, end);
    process.kill(sleeper, "SIGKILL");
    program.stdout.resume();
    program.stderr.resume();
    assert.deepEqual(await program.ended, end);
  }
});

test("startProgram() throws for a program that is not there, and leaves nothing open", async () => {
  const before = readdirSync("/proc/self/fd").length;
  await assert.rejects(startProgram({ command: "no-such-program", args: [] }), { code: "ENOENT" });
  await assert.rejects(startProgram({ command: "/no/such/program", args: [] }), { code: "ENOENT" });
  assert.equal(readdirSync("/proc/self/fd").length, before);
});

test("startInThread lets run() do what it does with a child of Node's", async (t) => {
  const options = { signal: t.signal, start: startInThread };
  assert.equal((await run("cat", [], { ...options, input: "in" })).stdout, "in");
  assert.equal((await run("sh", ["-c", "echo $X"], { ...options, env: { X: "set", PATH: "/usr/bin:/bin" }, cwd: "/tmp" })).stdout, "set\n");
  await assert.rejects(run("sh", ["-c", "echo why >&2; exit 2"], options), /sh exited with 2: why/);
  await assert.rejects(run("no-such-program", [], options), (error) => error instanceof CommandError && error.exitCode === null);
  await assert.rejects(run("sleep", ["1000"], { ...options, timeoutMs: 1 }), /did not end within 1 ms/);
  const stop = new AbortController();
  const stopped = run("sleep", ["1000"], { ...options, signal: stop.signal });
  stop.abort(new Error("enough"));
  await assert.rejects(stopped, /enough/);
  const children = (): string =>
    readdirSync("/proc/self/task")
      .map((thread) => readFileSync(`/proc/self/task/${thread}/children`, "utf8"))
      .join("");
  await eventually(() => children() === "", { withinMs: 5_000 });
});
