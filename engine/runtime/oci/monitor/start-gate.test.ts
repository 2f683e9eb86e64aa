import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { eventually } from "@peapod/kit";
import { makeNode } from "../../../linux/libc.ts";
import { Gatekeeper } from "./gatekeeper.ts";
import { type HeldProcess, identifyHeld, isStillHeld } from "./held-process.ts";
import { type Gate, openStartGate, removeStartGate, startGatePath } from "./start-gate.ts";

/** The gate of a created container that `held` waits at. */
function gateOf(t: TestContext, held: (path: string) => number | undefined): Gate {
  const gatekeeper = new Gatekeeper("/bin/sh");
  t.after(() => gatekeeper[Symbol.asyncDispose]());
  const root = mkdtempSync(join(tmpdir(), "peapod-gate-"));
  t.after(() => rmSync(root, { recursive: true }));
  symlinkSync(".", join(root, "c"));
  const path = startGatePath(root, "c");
  makeNode(path, constants.S_IFIFO | 0o600, 0, 0);
  return { path, held: identity(held(path)), gatekeeper };
}

function identity(pid: number | undefined): HeldProcess {
  const found = identifyHeld(pid ?? 0);
  assert.ok(found !== undefined);
  return found;
}

/** As runc's init: waits for a reader, writes, and becomes another program; ends with 1 where the reader has gone before it writes. */
const INIT = `
  $SIG{PIPE} = "IGNORE";
  open(my $gate, ">", $ARGV[0]) or exit 2;
  select(undef, undef, undef, $ARGV[1]);
  syswrite($gate, "0") or exit 1;
  close($gate);
  exec("/bin/sh", "-c", "read line; exit 42");`;

function startInit(path: string, waitSeconds = 0): ChildProcessWithoutNullStreams {
  return spawn("/usr/bin/perl", ["-e", INIT, path, String(waitSeconds)]);
}

async function exitCode(init: ChildProcessWithoutNullStreams | undefined): Promise<unknown> {
  init?.stdin.end("\n");
  return init?.exitCode ?? (await once(init ?? assert.fail(), "exit"))[0];
}

test("openStartGate() reads from an init that writes, as runc's", async (t) => {
  let init: ChildProcessWithoutNullStreams | undefined;
  const gate = gateOf(t, (path) => (init = startInit(path)).pid);
  assert.equal(openStartGate(gate), true);
  await eventually(() => !isStillHeld(gate.held), { withinMs: 5_000 });
  assert.equal(await exitCode(init), 42);
  removeStartGate(gate.path);
  assert.equal(openStartGate({ ...gate, held: identity(process.pid) }), false);
});

test("openStartGate() writes to an init that reads, as crun's", async (t) => {
  const gate = gateOf(t, () => process.pid);
  const init = openSync(gate.path, constants.O_RDONLY | constants.O_NONBLOCK);
  t.after(() => closeSync(init));
  assert.equal(openStartGate(gate), true);
  assert.equal(readSync(init, Buffer.alloc(8)), 1);
});

test("openStartGate() tells that nobody waits at a gate", async (t) => {
  const gone = spawn("true");
  const gate = gateOf(t, () => process.pid);
  await once(gone, "exit");
  const held = { ...gate.held, pid: gone.pid ?? 0 };
  assert.throws(() => openStartGate({ ...gate, held }), /ended before it was started/);
});

test("openStartGate() may be done again while an init goes on", async (t) => {
  let init: ChildProcessWithoutNullStreams | undefined;
  const gate = gateOf(t, (path) => (init = startInit(path, 0.2)).pid);
  assert.equal(openStartGate(gate), true);
  assert.equal(openStartGate(gate), true);
  await eventually(() => !isStillHeld(gate.held), { withinMs: 5_000 });
  assert.equal(await exitCode(init), 42);
});

test("a Gatekeeper opens many gates, one that is not there among them, and is started anew where it was ended", async (t) => {
  const inits: ChildProcessWithoutNullStreams[] = [];
  const gates = Array.from({ length: 20 }, () =>
    gateOf(t, (path) => {
      const init = startInit(path);
      inits.push(init);
      return init.pid;
    }),
  );
  const gatekeeper = new Gatekeeper("/bin/sh");
  t.after(() => gatekeeper[Symbol.asyncDispose]());
  gatekeeper.open("/no/such/folder/exec.fifo");
  for (const [index, gate] of gates.entries()) {
    if (index === 10) await endShells();
    assert.equal(openStartGate({ ...gate, gatekeeper }), true);
    await eventually(() => !isStillHeld(gate.held), { withinMs: 5_000 });
  }
  assert.deepEqual(new Set(await Promise.all(inits.map(exitCode))), new Set([42]));
});

test("a Gatekeeper holds many gates open at once, for inits that are late to write", async (t) => {
  const gatekeeper = new Gatekeeper("/bin/sh");
  t.after(() => gatekeeper[Symbol.asyncDispose]());
  const inits: ChildProcessWithoutNullStreams[] = [];
  const gates = Array.from({ length: 20 }, () =>
    gateOf(t, (path) => {
      const init = startInit(path, 0.5);
      inits.push(init);
      return init.pid;
    }),
  );
  for (const gate of gates) assert.equal(openStartGate({ ...gate, gatekeeper }), true);
  assert.deepEqual(await Promise.all(inits.map(exitCode)), Array(20).fill(42));
});

/** Ends the gatekeepers of this process. */
async function endShells(): Promise<void> {
  const pids = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8")
    .split(" ")
    .filter((pid) => pid !== "");
  const shells = pids.filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("while IFS"));
  assert.ok(shells.length > 0);
  for (const pid of shells) process.kill(Number(pid), "SIGKILL");
  await eventually(() => shells.every((pid) => identifyHeld(Number(pid)) === undefined), { withinMs: 5_000 });
}
