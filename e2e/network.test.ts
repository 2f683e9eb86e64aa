import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { startEngine } from "./engine-fixture.ts";
import { applyReady, field, freePort, idle, inContainer, list, output, pod, shell } from "./pods.ts";

/** An HTTP server that answers with a word, on an address and port. */
const serve = (name: string, address: string, port: number, word: string, more: Readonly<Record<string, unknown>> = {}) =>
  shell(name, `mkdir -p /www && echo ${word} > /www/index.html && exec busybox httpd -f -p ${address}:${port} -h /www`, more);

const fetchFrom = (address: string): string => `busybox timeout 2 busybox wget -q -O - http://${address}/`;

test("a pod's containers share localhost, which nobody else reaches; a published port everybody does", async (t) => {
  const engine = await startEngine(t);
  const hostPort = await freePort();
  const published = { ports: [{ containerPort: 8081, hostPort }] };
  await applyReady(
    engine,
    list(
      pod("server", {
        containers: [serve("private", "127.0.0.1", 8080, "private"), serve("public", "0.0.0.0", 8081, "public", published), idle("client")],
      }),
      pod("other", { containers: [idle("client")] }),
    ),
    "server",
    "other",
  );
  const ip = await field(engine, "pod/server", ".status.podIP");
  const hostIP = await field(engine, "pod/server", ".status.hostIP");
  const fromHost = (address: string) => engine.command("curl", ["-sf", "--max-time", "2", `http://${address}/`]);

  await t.test("another container of the pod reaches it on localhost", async () => {
    assert.equal(await output(engine, "server", "client", fetchFrom("127.0.0.1:8080")), "private");
    assert.equal(await output(engine, "server", "client", fetchFrom("localhost:8081")), "public");
  });
  await t.test("another pod and the host do not reach what listens on the pod's loopback", async () => {
    assert.notEqual((await inContainer(engine, "other", "client", fetchFrom(`${ip}:8080`))).exitCode, 0);
    assert.notEqual((await inContainer(engine, "other", "client", fetchFrom("127.0.0.1:8080"))).exitCode, 0);
    assert.notEqual((await fromHost(`${ip}:8080`)).exitCode, 0);
    assert.notEqual((await fromHost("127.0.0.1:8080")).exitCode, 0);
  });
  await t.test("another pod reaches the pod's address", async () => {
    assert.equal(await output(engine, "other", "client", fetchFrom(`${ip}:8081`)), "public");
  });
  await t.test("the host, other pods and the pod itself reach the published port", async () => {
    assert.equal((await fromHost(`127.0.0.1:${hostPort}`)).stdout.trim(), "public");
    assert.equal((await fromHost(`${hostIP}:${hostPort}`)).stdout.trim(), "public");
    assert.equal(await output(engine, "other", "client", fetchFrom(`${hostIP}:${hostPort}`)), "public");
    assert.equal(await output(engine, "server", "client", fetchFrom(`${hostIP}:${hostPort}`)), "public");
  });
  await t.test("a pod does not reach the host's loopback", async () => {
    const apiPort = new URL(await engine.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")).port;
    assert.notEqual((await inContainer(engine, "other", "client", `busybox nc -w 2 ${hostIP} ${apiPort} < /dev/null`)).exitCode, 0);
  });
  await t.test("a second pod that wants the port waits, and says why", async () => {
    await engine.apply(pod("late", { containers: [idle("web", { ports: [{ containerPort: 1, hostPort }] })] }));
    await engine.kubectl("wait", "--for=jsonpath={.status.phase}=Pending", "pod/late");
    await eventually(async () => assert.match(await engine.kubectl("describe", "pod", "late"), /free ports for the requested pod ports/), {
      withinMs: 5_000,
    });
  });
});

test("environment variables and hosts files tell a pod who and where it is", async (t) => {
  const engine = await startEngine(t);
  const fieldRef = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } });
  await applyReady(
    engine,
    list(
      JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data: { COLOR: "green", SIZE: "large" } }),
      JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name: "keys" }, stringData: { password: "s3cret" } }),
      pod(
        "env",
        {
          hostAliases: [{ ip: "192.0.2.7", hostnames: ["db.example", "db"] }],
          containers: [
            shell("main", "env | busybox sort; echo args: $0 $1; busybox pwd; exec busybox sleep 3600", {
              workingDir: "/tmp/made",
              args: ["first-$(PLAIN)", "second-$$(PLAIN)"],
              resources: { limits: { memory: "64Mi" } },
              envFrom: [{ prefix: "CM_", configMapRef: { name: "settings" } }],
              env: [
                { name: "PLAIN", value: "plain" },
                { name: "COMPOSED", value: "$(PLAIN)-$(MISSING)-$(CM_COLOR)" },
                { name: "NAME", ...fieldRef("metadata.name") },
                { name: "LABEL", ...fieldRef("metadata.labels['app']") },
                { name: "IP", ...fieldRef("status.podIP") },
                { name: "HOST", ...fieldRef("status.hostIP") },
                { name: "MEMORY", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
                { name: "PASSWORD", valueFrom: { secretKeyRef: { name: "keys", key: "password" } } },
                { name: "ABSENT", valueFrom: { configMapKeyRef: { name: "none", key: "x", optional: true } } },
              ],
            }),
          ],
        },
        { labels: { app: "teller" } },
      ),
    ),
    "env",
  );
  const log = await engine.kubectl("logs", "env");
  const ip = await field(engine, "pod/env", ".status.podIP");
  const hostIP = await field(engine, "pod/env", ".status.hostIP");
  for (const line of [
    "PLAIN=plain",
    "COMPOSED=plain-$(MISSING)-green",
    "CM_SIZE=large",
    "NAME=env",
    "LABEL=teller",
    `IP=${ip}`,
    `HOST=${hostIP}`,
    "MEMORY=64",
    "PASSWORD=s3cret",
    "args: first-plain second-$(PLAIN)",
    "/tmp/made",
    "HOSTNAME=env",
  ]) {
    assert.ok(log.split("\n").includes(line), `${line} is not in:\n${log}`);
  }
  assert.ok(!log.includes("ABSENT="));
  const hosts = await output(engine, "env", "main", "cat /etc/hosts");
  assert.match(hosts, new RegExp(`^${ip}\\s+env$`, "m"));
  assert.match(hosts, /^192\.0\.2\.7\s+db\.example\s+db$/m);
  assert.doesNotMatch(await output(engine, "env", "main", "cat /etc/resolv.conf"), /nameserver\s+127\./);
});
