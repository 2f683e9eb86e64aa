import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { startEngine } from "./engine-fixture.ts";
import { applyReady, idle, inContainer, list, output, pod, shell } from "./pods.ts";

const mount = (name: string, mountPath: string, more: Readonly<Record<string, unknown>> = {}) => ({ name, mountPath, ...more });

test("containers share volumes", async (t) => {
  const engine = await startEngine(t);
  const hostFile = engine.file("host/greeting", "from the host\n");
  const hostFolder = hostFile.slice(0, hostFile.lastIndexOf("/"));
  await applyReady(
    engine,
    pod("shared", {
      volumes: [
        { name: "disk", emptyDir: {} },
        { name: "memory", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
        { name: "host", hostPath: { path: hostFolder, type: "Directory" } },
      ],
      containers: [
        shell("writer", "echo written > /data/file; exec busybox sleep 3600", {
          volumeMounts: [mount("disk", "/data"), mount("memory", "/fast")],
        }),
        idle("reader", { volumeMounts: [mount("disk", "/data"), mount("disk", "/sub", { subPath: "deep/er" })] }),
        idle("expander", { env: [{ name: "PART", value: "er" }], volumeMounts: [mount("disk", "/sub", { subPathExpr: "deep/$(PART)" })] }),
        idle("guest", { volumeMounts: [mount("disk", "/data", { readOnly: true }), mount("host", "/host", { readOnly: true })] }),
      ],
    }),
    "shared",
  );
  await t.test("one writes, the other reads", async () => {
    assert.equal(await output(engine, "shared", "reader", "cat /data/file"), "written");
  });
  await t.test("a third that mounts it read-only is refused", async () => {
    assert.equal(await output(engine, "shared", "guest", "cat /data/file"), "written");
    const refused = await inContainer(engine, "shared", "guest", "echo x > /data/file");
    assert.notEqual(refused.exitCode, 0);
    assert.match(refused.stderr, /Read-only file system/);
  });
  await t.test("medium Memory is a tmpfs with its size limit", async () => {
    assert.match(await output(engine, "shared", "writer", "busybox mount | grep ' /fast '"), /tmpfs/);
    const full = await inContainer(engine, "shared", "writer", "busybox dd if=/dev/zero of=/fast/big bs=1024 count=2048");
    assert.match(full.stderr, /No space left on device/);
    assert.equal(await output(engine, "shared", "writer", "busybox stat -c %s /fast/big"), String(1024 * 1024));
  });
  await t.test("hostPath shows the host's folder", async () => {
    assert.equal(await output(engine, "shared", "guest", "cat /host/greeting"), "from the host");
  });
  await t.test("subPath mounts a folder of the volume, made where it is missing", async () => {
    await output(engine, "shared", "reader", "echo inside > /sub/file");
    assert.equal(await output(engine, "shared", "writer", "cat /data/deep/er/file"), "inside");
    assert.equal(await output(engine, "shared", "expander", "cat /sub/file"), "inside");
  });
});

test("a changed ConfigMap or Secret reaches running containers within 2 s, never half of it", async (t) => {
  const engine = await startEngine(t);
  const configMap = (version: number) =>
    JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data: { a: `a-${version}`, b: `b-${version}` } });
  const secret = (version: number) =>
    JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name: "keys" }, stringData: { token: `token-${version}` } });
  // Opens the folder once for both files, as a careful reader does; a folder that is replaced meanwhile may be gone, but never mixed.
  const watcher = `while :; do cd /config/..data && a=$(cat a 2>/dev/null) && b=$(cat b 2>/dev/null) && { [ "\${a#a-}" = "\${b#b-}" ] || echo "torn $a $b"; }; cd /; done`;
  await applyReady(
    engine,
    list(
      configMap(0),
      secret(0),
      pod("reader", {
        volumes: [
          { name: "config", configMap: { name: "settings" } },
          { name: "keys", secret: { secretName: "keys", defaultMode: 0o400 } },
        ],
        containers: [
          idle("main", {
            volumeMounts: [mount("keys", "/config/in/keys"), mount("config", "/config"), mount("keys", "/keys", { readOnly: true })],
          }),
          shell("watcher", watcher, { volumeMounts: [mount("config", "/config")] }),
        ],
      }),
    ),
    "reader",
  );
  assert.equal(await output(engine, "reader", "main", "cat /config/a /keys/token"), "a-0token-0");
  assert.equal(await output(engine, "reader", "main", "busybox stat -L -c %a /keys/token"), "400");
  for (let version = 1; version <= 10; version++) {
    await engine.apply(list(configMap(version), secret(version)));
    const appliedMs = performance.now();
    await eventually(
      async () =>
        (await inContainer(engine, "reader", "main", "cat /config/a /config/b /config/in/keys/token")).stdout ===
        `a-${version}b-${version}token-${version}`,
      { withinMs: 2_000 + 1_000, everyMs: 50 }, // one second for the exec that looks
    );
    assert.ok(performance.now() - appliedMs < 3_000);
  }
  assert.equal(await engine.kubectl("logs", "reader", "-c", "watcher"), "");
  await t.test("secrets lie on tmpfs", () => {
    const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
    assert.ok(lines.some((line) => line.includes(engine.stateDir) && line.includes("keys") && / - tmpfs /.test(line)));
  });
});

test("what a pod names and cannot have keeps it waiting, with the name; what goes missing later holds up nothing else", async (t) => {
  const engine = await startEngine(t);
  const configMap = (data: Readonly<Record<string, string>>) =>
    JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "none" }, data });
  const untilSaid = async (podName: string, what: RegExp) =>
    eventually(async () => what.test(await engine.kubectl("describe", "pod", podName)), { withinMs: 10_000, everyMs: 200 });
  await engine.apply(
    pod("stuck", {
      volumes: [
        { name: "config", configMap: { name: "none" } },
        { name: "strict", configMap: { name: "none", items: [{ key: "x", path: "x" }] } },
      ],
      containers: [idle("main", { volumeMounts: [mount("config", "/config"), mount("strict", "/strict")] })],
    }),
  );
  await untilSaid("stuck", /FailedMount.*configmap "none" not found/);
  await engine.apply(configMap({ x: "y" }));
  await engine.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "pod/stuck");
  await t.test("a volume whose key is gone keeps what it shows, the others are brought up to date", async () => {
    await engine.apply(configMap({ z: "new" }));
    assert.equal(await output(engine, "stuck", "main", "cat /config/z && cat /strict/x"), "newy");
    await untilSaid("stuck", /FailedMount.*volume "strict" : configmap references non-existent config key: x/);
  });
  await t.test("a Secret that is not text is refused in the environment", async () => {
    const secret = JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name: "bytes" }, data: { KEY: "gIHDKA==" } });
    await engine.apply(list(secret, pod("env", { containers: [idle("main", { envFrom: [{ secretRef: { name: "bytes" } }] })] })));
    await untilSaid("env", /CreateContainerConfigError[^]*key KEY in Secret default\/bytes is not UTF-8 text/);
  });
  await t.test("a node that was deleted comes back, and takes pods", async () => {
    await engine.kubectl("delete", "node", "--all");
    await applyReady(engine, pod("later", { containers: [idle("main")] }), "later");
  });
});
