import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "@peapod/client";
import { KubeletNodeServer, type LogReader } from "./kubelet-node-server.ts";
import { TestNode } from "./kubelet.fixture.ts";

/** Says which log is read; with `follow`, also that its container has ended. */
const readLog: LogReader = async function* ({ path, finished }) {
  yield Buffer.from(path.split("/").slice(-2).join("/"));
  await finished;
  if (finished !== undefined) yield Buffer.from(" ended");
};

async function logs(node: TestNode, podUid: string, options: { previous?: boolean; follow?: boolean } = {}): Promise<string> {
  const server = new KubeletNodeServer({ kubelet: node.kubelet, runtime: node.runtime, readLog });
  const chunks: Uint8Array[] = [];
  for await (const chunk of server.containerLogs(
    { podUid, containerName: "web" },
    { follow: false, timestamps: false, previous: false, ...options },
    node.signal,
  ))
    chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test("KubeletNodeServer reads the log of this start and of the one before", async () => {
  await using node = await TestNode.open();
  node.start();
  const {
    metadata: { uid = "" },
  } = await node.createPod("web");
  await node.until("web", ({ status }) => status?.phase === "Running");
  assert.equal(await logs(node, uid), "web/0.log");
  await assert.rejects(logs(node, uid, { previous: true }), isRefused('previous terminated container "web" in pod "web" not found'));
  node.runtime.exit(await node.containerId(), 1);
  await node.until("web", ({ status }) => status?.containerStatuses?.[0]?.restartCount === 1 && status.containerStatuses[0].ready);
  assert.equal(await logs(node, uid), "web/1.log");
  assert.equal(await logs(node, uid, { previous: true }), "web/0.log");
});

test("KubeletNodeServer answers for a pod of before a restart, however early it is asked", async () => {
  await using node = await TestNode.open();
  node.start();
  const {
    metadata: { uid = "" },
  } = await node.createPod("web", { restartPolicy: "Never" });
  await node.until("web", ({ status }) => status?.phase === "Running");
  await node.stop();
  node.start();
  assert.equal(await logs(node, uid), "web/0.log");
});

test("KubeletNodeServer shows the last end in a crash loop, asked for either way", async () => {
  await using node = await TestNode.open();
  node.start();
  const {
    metadata: { uid = "" },
  } = await node.createPod("web", { containers: [{ name: "web", image: "app:1", command: ["exit", "1"] }] });
  await node.until("web", ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === "CrashLoopBackOff");
  assert.equal(await logs(node, uid), "web/1.log");
  assert.equal(await logs(node, uid, { previous: true }), "web/1.log");
});

test("KubeletNodeServer follows a log until its container has ended", async () => {
  await using node = await TestNode.open();
  node.start();
  const {
    metadata: { uid = "" },
  } = await node.createPod("web", { restartPolicy: "Never" });
  await node.until("web", ({ status }) => status?.phase === "Running");
  const followed = logs(node, uid, { follow: true });
  node.runtime.exit(await node.containerId(), 0);
  assert.equal(await followed, "web/0.log ended");
});

test("KubeletNodeServer says what a container waits for", async () => {
  await using node = await TestNode.open();
  node.start();
  const env = [{ name: "A", valueFrom: { configMapKeyRef: { name: "none", key: "k" } } }];
  const {
    metadata: { uid = "" },
  } = await node.createPod("web", { containers: [{ name: "web", image: "app:1", env }] });
  await node.until("web", ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === "CreateContainerConfigError");
  await assert.rejects(logs(node, uid), isRefused('container "web" in pod "web" is waiting to start: CreateContainerConfigError'));
});

test("KubeletNodeServer runs a process in a container, and refuses where none runs", async () => {
  await using node = await TestNode.open();
  node.start();
  const {
    metadata: { uid = "" },
  } = await node.createPod("web", { restartPolicy: "Never" });
  await node.until("web", ({ status }) => status?.phase === "Running");
  const server = new KubeletNodeServer({ kubelet: node.kubelet, runtime: node.runtime, readLog });
  const exec = async (containerName: string): Promise<string> => {
    const session = await server.exec({ podUid: uid, containerName }, { command: ["echo", "hi"], tty: false, stdin: false }, node.signal);
    const chunks: Uint8Array[] = [];
    for await (const chunk of session.stdout) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  assert.equal(await exec("web"), "echo hi\n");
  await assert.rejects(exec("other"), isRefused("container other is not valid for pod web"));
  node.runtime.exit(await node.containerId(), 0);
  await node.until("web", ({ status }) => status?.phase === "Succeeded");
  await assert.rejects(exec("web"), ApiError);
});

function isRefused(message: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.code, error.message], [400, message]);
    return true;
  };
}
