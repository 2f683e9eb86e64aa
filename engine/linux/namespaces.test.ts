import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { run } from "@peapod/kit";
import { unmount } from "./libc.ts";
import { pinNamespaces, type PinnedNamespaces } from "./namespaces.ts";

const sysctl = { path: "/proc/sys/net/ipv4/ip_unprivileged_port_start", value: "7", needed: true };
const own = (): string[] => ["net", "ipc", "uts"].map((name) => readlinkSync(`/proc/thread-self/ns/${name}`));

test("pinNamespaces() makes namespaces that last as files, and comes back", async (t) => {
  const files = someFiles(t);
  const before = { namespaces: own(), hostname: hostname(), sysctl: readFileSync(sysctl.path, "utf8") };
  pinNamespaces(files, { hostname: "inside", sysctls: [sysctl, { path: "/proc/sys/net/none_such", value: "1", needed: false }] });
  assert.deepEqual({ namespaces: own(), hostname: hostname(), sysctl: readFileSync(sysctl.path, "utf8") }, before);
  const script = ["sh", "-c", `hostname; cat ${sysctl.path}`];
  const { stdout } = await run("nsenter", [`--net=${files.net}`, `--uts=${files.uts}`, `--ipc=${files.ipc}`, ...script], {
    signal: t.signal,
  });
  assert.equal(stdout, "inside\n7\n");
  assert.ok(Object.values(files).every((path, index) => !before.namespaces[index]?.includes(`[${statSync(path).ino}]`)));
});

test("pinNamespaces() comes back when it fails half-way", (t) => {
  const before = own();
  assert.throws(
    () => pinNamespaces(someFiles(t), { hostname: "inside", sysctls: [{ ...sysctl, value: "nonsense" }] }),
    /Cannot write "nonsense"/,
  );
  assert.throws(() => pinNamespaces(someFiles(t), { hostname: "x".repeat(100), sysctls: [] }));
  assert.deepEqual(own(), before);
});

function someFiles(t: TestContext): PinnedNamespaces {
  const directory = mkdtempSync(join(tmpdir(), "peapod-ns-"));
  const files = { net: join(directory, "net"), ipc: join(directory, "ipc"), uts: join(directory, "uts") };
  t.after(() => {
    for (const path of Object.values(files)) unmount(path);
    rmSync(directory, { recursive: true });
  });
  return files;
}
