import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { diskImage } from "../engine/store/disk-image.fixture.ts";
import { inReverse, KUBECTL, startEngine } from "./engine-fixture.ts";
import { applyReady, field, idle, list, pod } from "./pods.ts";

test("an engine on a disk that is full, then read-only, then without its store: it starts, says so, and pods can be deleted", async (t) => {
  const scope = inReverse(t);
  const disk = diskImage(400);
  scope.after(() => disk[Symbol.dispose]());
  mkdirSync(join(disk.root, "state"));
  const engine = await startEngine(scope, { stateDir: join(disk.root, "state") });
  const kubectl = (...args: readonly string[]) => engine.command(KUBECTL, args);
  const ids = async (): Promise<string> =>
    engine.kubectl("get", "pods", "--output=jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[*].containerID}{end}");
  const { listen } = JSON.parse(readFileSync(join(engine.runDir, "engine.json"), "utf8")) as { listen: string }; // written by the engine
  const startAgain = (until = "/readyz") => engine.start({ PEAPOD_LISTEN: listen }, { until }); // the kubeconfig may not be written anew
  await applyReady(engine, list(...["a", "b", "c"].map((name) => pod(name, { containers: [idle("main")] }))), "a", "b", "c");

  await t.test("full", async () => {
    fill(join(disk.root, "filler"));
    assert.match((await kubectl("create", "configmap", "more")).stderr, /store\.db is full: free some of it/);
    assert.match((await kubectl("get", "--raw", "/readyz")).stderr + (await kubectl("get", "--raw", "/readyz")).stdout, /is full/);
    const deletion = await kubectl("delete", "pod", "a", "--grace-period=1", "--timeout=20s");
    assert.equal(deletion.exitCode, 0, deletion.stderr);
    assert.match(deletion.stderr, /Warning: .*is full/);
    const before = await ids();
    await engine.kill();
    await startAgain("/version");
    assert.equal(await ids(), before);
    rmSync(join(disk.root, "filler"));
    await engine.kubectl("get", "--raw", "/readyz");
    await engine.kubectl("create", "configmap", "more");
  });

  await t.test("read-only", async () => {
    disk.fail();
    for (const time of [1, 2]) assert.match((await kubectl("label", "pod", "b", `time-${time}=x`)).stderr, /store\.db is read-only/);
    assert.match((await kubectl("create", "configmap", "other")).stderr, /store\.db is read-only: mount it for writing/);
    await engine.kill();
    await startAgain("/version");
    assert.match((await kubectl("create", "configmap", "other")).stderr, /is read-only/);
    await engine.kubectl("delete", "pods", "--all", "--grace-period=1", "--timeout=20s");
    await engine.stop();
    await eventually(() => disk.remount(), { withinMs: 5_000 });
    rmSync(join(disk.root, "filler"), { force: true }); // its removal may not have been on disk yet
    await startAgain();
    await engine.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "pod/b", "pod/c"); // as the disk knew them
  });

  await t.test("without its store", async () => {
    const restarts = () => field(engine, "pod/b", ".status.containerStatuses[*].restartCount");
    const before = [await ids(), await restarts()];
    await engine.stop();
    for (const name of readdirSync(engine.stateDir).filter((one) => one.startsWith("store.db")))
      renameSync(join(engine.stateDir, name), join(disk.root, name));
    await startAgain();
    await engine.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "pod/b", "pod/c");
    assert.deepEqual([await ids(), await restarts()], before);
  });
});

function fill(path: string): void {
  for (const size of [1024 * 1024, 4096, 1]) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size), { flag: "a" });
    } catch (cause) {
      assert.match(String(cause), /ENOSPC/);
    }
  }
}
