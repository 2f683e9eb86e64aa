import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "./eventually.ts";
import { CommandError, run } from "./run.ts";

const never = new AbortController().signal;
const shell = (script: string, options: Partial<Parameters<typeof run>[2]> = {}) =>
  run("sh", ["-c", script], { signal: never, ...options });

/** The error of a command that must fail. */
async function failure(running: Promise<unknown>): Promise<CommandError> {
  const error = await running.then(
    () => assert.fail("It went well"),
    (cause: unknown) => cause,
  );
  assert.ok(error instanceof CommandError, String(error));
  return error;
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // no such process
  }
}

test("run() gives both outputs, and takes input, environment and folder", async () => {
  const options = { input: "typed", env: { WORD: "said", PATH: process.env["PATH"] ?? "" }, cwd: "/" };
  assert.deepEqual(await shell('cat; echo " $WORD in $PWD"; echo problem >&2', options), {
    stdout: "typed said in /\n",
    stderr: "problem\n",
  });
  assert.equal((await shell("cat")).stdout, "", "no input is an empty one");
});

test("run() does not mind a command that leaves its input unread", async () => {
  assert.equal((await shell("exec 0<&-; echo done", { input: "x".repeat(5_000_000) })).stdout, "done\n");
});

test("run() tells how a command ended badly, and the last of what it said", async () => {
  const exited = await failure(shell("echo out; for i in 1 2 3 4 5 6; do echo line $i >&2; done; exit 7"));
  assert.equal(exited.message, "sh exited with 7: line 3; line 4; line 5; line 6");
  assert.deepEqual([exited.exitCode, exited.stdout, exited.stderr.split("\n").length], [7, "out\n", 7]);
  const ended = await failure(shell("kill -9 $$"));
  assert.deepEqual([ended.message, ended.exitCode], ["sh was ended by SIGKILL", null]);
  assert.equal((await failure(shell("echo only this; exit 1"))).message, "sh exited with 1: only this");
});

test("run() names a command that is not there", async () => {
  const error = await failure(run("/no/such/command", [], { signal: never }));
  assert.equal(error.message, "Cannot run /no/such/command");
  assert.equal((error.cause as NodeJS.ErrnoException).code, "ENOENT");
});

test("run() ends a command that takes too long", async () => {
  const error = await failure(shell("echo begun; exec sleep 60", { timeoutMs: 100 }));
  assert.equal(error.message, "sh did not end within 100 ms: begun");
  const polite = await failure(shell("trap 'exit 0' TERM; while :; do sleep 0.05; done", { timeoutMs: 100 }));
  assert.match(polite.message, /did not end within 100 ms/, "an exit code of 0 does not make it in time");
});

test("run() kills a command that ignores the polite way, and does not wait for what it left behind", async () => {
  const startedMs = performance.now();
  let said = "";
  const onStderr = (text: string): void => void (said += text);
  const error = await failure(shell("trap '' TERM; sleep 47 & echo $$ $! >&2; while :; do sleep 0.1; done", { timeoutMs: 100, onStderr }));
  const [child, left] = said.trim().split(" ").map(Number);
  try {
    assert.equal(error.exitCode, null);
    assert.ok(performance.now() - startedMs < 5_000, "it waits for no grandchild that holds the output open");
    assert.ok(!isThere(child ?? 0));
    assert.ok(isThere(left ?? 0), "the test has its grandchild");
  } finally {
    if (left !== undefined) process.kill(left, "SIGKILL");
  }
});

test("run() rejects with the signal's reason once the command has ended", async () => {
  const reason = new Error("enough");
  const stop = new AbortController();
  let said = "";
  const running = shell("trap 'echo bye >&2; exit 3' TERM; echo $$ >&2; while :; do sleep 0.05; done", {
    signal: stop.signal,
    onStderr: (text) => (said += text),
  });
  const watched = assert.rejects(running, (error) => error === reason);
  await eventually(() => /\d\n/.test(said), { withinMs: 5_000 });
  stop.abort(reason);
  await watched;
  assert.match(said, /bye/);
  assert.ok(!isThere(Number.parseInt(said, 10)));
  await assert.rejects(shell("echo never", { signal: stop.signal }), (error) => error === reason);
});

test("run() keeps so much of an output and reads the rest away", async () => {
  const { stdout, stderr } = await shell("head -c 3000000 /dev/zero | tr '\\0' x; head -c 10 /dev/zero | tr '\\0' e >&2", {
    limitBytes: 1_000,
  });
  assert.deepEqual([stdout.length, stderr.length], [1_000, 10]);
});
