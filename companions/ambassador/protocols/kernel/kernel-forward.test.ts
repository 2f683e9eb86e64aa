import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const exec = promisify(execFile);
const scenario = join(import.meta.dirname, "scenario.fixture.ts");

test("startKernelForward() forwards, limits, counts, fails over, drains and leaves nothing, in a network namespace", async () => {
  const told = await runInNamespace([process.execPath, scenario]);
  assert.deepEqual(told, {
    before: "ambassador",
    forwarded: "first 10.250.0.1",
    limited: [2, "ECONNREFUSED"],
    counted: { connections: 3, refused: 1, bytesBothWays: true },
    failedOver: "10.250.0.2:7002",
    repaired: true,
    drained: ["ambassador", "still here"],
    takenOver: "second 10.250.0.1",
    noneWell: "undefined",
    left: ["", "0"],
    foreign: ["LISTEN_FAILED", "its table is somebody else's"],
    stands: true,
    outside: ["CONFIG_INVALID", 'listens only on 127.0.0.0/8; say "datapath: user"'],
    closing: ["CONFIG_INVALID", 'ends no connections for a health check; say "datapath: user"'],
    balanced: ["CONFIG_INVALID", 'knows only the strategy first-available; say "datapath: user"'],
    withoutNft: ["LISTEN_FAILED", 'the program nft cannot be run: install nftables, or say "datapath: user"'],
  });
});

test("startKernelForward() says what is missing without NET_ADMIN", async () => {
  const powerless = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", process.execPath, scenario, "powerless"];
  const { code } = await runInNamespace(powerless);
  assert.deepEqual(code, ["LISTEN_FAILED", 'the container has no NET_ADMIN: add the capability, or say "datapath: user"']);
});

/** Every process in there ends with it, and so do the namespace, its links and its rules. */
async function runInNamespace(command: readonly string[]): Promise<Record<string, unknown>> {
  const { stdout } = await exec("unshare", ["--net", "--pid", "--fork", "--kill-child", "--mount-proc", ...command]);
  return JSON.parse(stdout) as Record<string, unknown>; // the scenario's own line
}
