import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { Socket } from "node:net";
import { test } from "node:test";
import { text } from "node:stream/consumers";
import { eventually } from "@peapod/kit";
import { makePipe, reap, spawnDetached, spawnInThread } from "./spawn.ts";

test("spawnDetached() starts a program with its own arguments, environment, folder, descriptors and session, and no signal ignored", async () => {
  const script = 'printf "%s|" "$1" "$X" "$(pwd)"; cut -d" " -f5,6 /proc/$$/stat; grep SigIgn /proc/self/status; echo three >&3';
  const output = await outputOf((fd) => ({ path: "/bin/sh", args: ["-c", script, "sh", "a b"], env: { X: "ü" }, cwd: "/usr", fd }));
  const [head = "", ignored, third] = output.text.split("\n");
  assert.equal(head, `a b|ü|/usr|${output.pid} ${output.pid}`);
  assert.match(ignored ?? "", /:\s0+$/); // Node ignores SIGPIPE
  assert.equal(third, "three");
});

test("reap() leaves no zombie, and waits for the end", async () => {
  const { pid } = await outputOf((fd) => ({ path: "/bin/true", args: [], env: {}, cwd: "/", fd }));
  await eventually(() => !readdirSync("/proc").includes(String(pid)), { withinMs: 1_000 });
});

test("spawnDetached() says that there is no such program, and leaves no process and no descriptor", async () => {
  const before = [readdirSync("/proc/self/fd").length, children()];
  assert.throws(() => spawnDetached({ path: "/no/such/program", args: [], env: {}, cwd: "/", fds: [] }), { code: "ENOENT" });
  await assert.rejects(spawnInThread({ path: "/bin/true", args: [], env: {}, cwd: "/no/such/folder", fds: [] }), { code: "ENOENT" });
  assert.deepEqual([readdirSync("/proc/self/fd").length, children()], before);
});

test("spawnDetached() refuses descriptors that would overwrite one another", async () => {
  await assert.rejects(spawnInThread({ path: "/bin/true", args: [], env: {}, cwd: "/", fds: [1, 0] }), /overwritten/);
});

test("spawnInThread() has another thread start the program, and wait for the kernel", async () => {
  const nothing = openSync("/dev/null", "r+");
  const pid = await spawnInThread({ path: "/bin/sleep", args: ["1000"], env: {}, cwd: "/", fds: [nothing, nothing, nothing] });
  closeSync(nothing);
  const ofMainThread = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").split(" ");
  assert.deepEqual(
    [ofMainThread, children().split(" ")].map((list) => list.includes(String(pid))),
    [false, true],
  );
  process.kill(pid, "SIGKILL");
  await reap(pid);
});

/** Of every thread of this process. */
function children(): string {
  return readdirSync("/proc/self/task")
    .map((thread) => readFileSync(`/proc/self/task/${thread}/children`, "utf8"))
    .join("");
}

interface Started {
  path: string;
  args: string[];
  env: Record<string, string>;
  cwd: string;
  fd: number;
}

async function outputOf(program: (fd: number) => Started): Promise<{ pid: number; text: string }> {
  const nothing = openSync("/dev/null", "r+");
  const pipe = makePipe();
  const { path, args, env, cwd, fd } = program(pipe.write);
  const pid = spawnDetached({ path, args, env, cwd, fds: [nothing, fd, nothing, fd] });
  for (const each of [nothing, pipe.write]) closeSync(each);
  const output = await text(new Socket({ fd: pipe.read, readable: true, writable: false }));
  await reap(pid);
  return { pid, text: output };
}
