import assert from "node:assert/strict";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Pod } from "@peapod/api";
import { eventually } from "@peapod/kit";
import { TestNode } from "./kubelet/kubelet.fixture.ts";

const isRunning = ({ status }: Pod): boolean => status?.phase === "Running";
const isDone = ({ status }: Pod): boolean => status?.phase === "Succeeded";

test("a pod whose store was moved away has its object again, and nothing of it is touched", async () => {
  await using node = await TestNode.open();
  node.start();
  await node.createPod("web");
  await node.createPod("job", { restartPolicy: "Never" });
  const web = await node.until("web", isRunning);
  await node.until("job", isRunning);
  const job = (await node.runtime.listContainers()).find(({ pod }) => pod.name === "job");
  node.runtime.exit(job?.id ?? "", 0);
  await node.until("job", isDone);
  await node.stop();
  const calls = node.runtime.calls.length;
  await node.loseStore();
  node.start();
  const again = await node.until("web", isRunning);
  assert.equal(again.metadata.uid, web.metadata.uid);
  assert.deepEqual(again.spec, web.spec);
  assert.deepEqual(again.status?.containerStatuses, web.status?.containerStatuses);
  await node.until("job", isDone); // it is not run again
  await eventually(() => node.network.attached.size === 1, { withinMs: 5_000 });
  assert.deepEqual(
    node.runtime.calls.slice(calls).filter((call) => /stop|remove|create|run/i.test(call)),
    [],
  );
  await node.deletePod("web", 0);
  await node.deletePod("job", 0);
  await eventually(async () => assert.deepEqual(await node.leftovers(), []), { withinMs: 5_000 });
  await eventually(async () => assert.deepEqual(await readdir(node.keptPodsDir), []), { withinMs: 5_000 });
});

for (const damage of ["missing", "half"] as const)
  void test(`a pod of a store that was moved away, whose record is ${damage}, runs on without an object until it is told to go`, async () => {
    await using node = await TestNode.open();
    node.start();
    const { metadata } = await node.createPod("web");
    await node.until("web", isRunning);
    await node.stop();
    const record = join(node.keptPodsDir, `${metadata.uid}.json`);
    await (damage === "missing" ? rm(record) : writeFile(record, '{"metadata": {"na'));
    const before = await node.leftovers();
    await node.loseStore();
    node.start();
    await node.createPod("other");
    await node.until("other", isRunning);
    const left = await node.leftovers();
    assert.deepEqual(
      before.filter((one) => !left.includes(one)),
      [],
    );
    assert.equal(await node.podIfPresent("web"), undefined);
    await node.deletePod("other", 0);
    await node.untilGone("other");
    await node.stop();
    assert.ok((await node.leftovers()).length >= before.length); // a kubelet that stops leaves it alone, too
    await node.loseStore("remove");
    node.start();
    await eventually(async () => assert.deepEqual(await node.leftovers(), []), { withinMs: 5_000 });
  });
