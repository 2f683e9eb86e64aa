import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, existsSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { makeNode } from "../../linux/libc.ts";
import { identifyProcess, type ProcessIdentity } from "./process-identity.ts";
import { isHeld, openStartGate, startGatePath } from "./start-gate.ts";

/** A runtime's state directory with one created container. */
function created(t: TestContext): { root: string; gate: string } {
  const root = mkdtempSync(join(tmpdir(), "peapod-gate-"));
  t.after(() => rmSync(root, { recursive: true }));
  const gate = startGatePath(root, "c");
  mkdirSync(dirname(gate));
  makeNode(gate, constants.S_IFIFO | 0o600, 0, 0);
  assert.equal(isHeld(root, "c"), true);
  return { root, gate };
}

function identity(pid: number | undefined): ProcessIdentity {
  const found = identifyProcess(pid ?? 0);
  assert.ok(found !== undefined);
  return found;
}

test("openStartGate() reads from an init that writes, as runc's", async (t) => {
  const { root, gate } = created(t);
  const init = spawn("sh", ["-c", 'printf 0 > "$0"', gate]);
  const ended = once(init, "exit");
  assert.equal(await openStartGate(root, "c", identity(init.pid), t.signal), true);
  assert.deepEqual([(await ended)[0], existsSync(gate)], [0, false]);
});

test("openStartGate() writes to an init that reads, as crun's", async (t) => {
  const { root, gate } = created(t);
  const init = openSync(gate, constants.O_RDONLY | constants.O_NONBLOCK);
  t.after(() => closeSync(init));
  assert.equal(await openStartGate(root, "c", identity(process.pid), t.signal), true);
  assert.deepEqual([readSync(init, Buffer.alloc(8)), existsSync(gate)], [1, false]);
});

test("openStartGate() tells that there is no gate", async (t) => {
  const { root, gate } = created(t);
  rmSync(gate);
  assert.equal(await openStartGate(root, "c", identity(process.pid), t.signal), false);
});
