import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { connect } from "node:tls";
import { join } from "node:path";
import { test } from "node:test";
import { startEngine } from "./engine-fixture.ts";
import { applyReady, idle, inContainer, list, output, pod } from "./pods.ts";

test("a container runs with the usual confinement", async (t) => {
  const engine = await startEngine(t);
  await applyReady(engine, pod("confined", { containers: [idle("main")] }), "confined");
  const see = (script: string) => output(engine, "confined", "main", script);

  await t.test("default capabilities and seccomp", async () => {
    // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP
    assert.match(await see("busybox grep CapEff /proc/1/status"), /00000000a80425fb$/);
    assert.match(await see("busybox grep '^Seccomp:' /proc/1/status"), /2$/);
    assert.notEqual((await inContainer(engine, "confined", "main", "busybox mount -t tmpfs none /mnt")).exitCode, 0);
    assert.notEqual((await inContainer(engine, "confined", "main", "busybox unshare -m true")).exitCode, 0);
  });
  await t.test("masked and read-only paths", async () => {
    assert.equal(await see("busybox wc -c < /proc/kcore 2>/dev/null || echo 0"), "0");
    assert.notEqual((await inContainer(engine, "confined", "main", "echo 1 > /proc/sys/kernel/panic")).exitCode, 0);
    assert.notEqual((await inContainer(engine, "confined", "main", "echo b > /proc/sysrq-trigger")).exitCode, 0);
    assert.notEqual((await inContainer(engine, "confined", "main", "echo 1 > /sys/kernel/profiling")).exitCode, 0);
  });
  await t.test("nothing of the host's file system", async () => {
    const sources = await see("busybox cut -d' ' -f4- /proc/self/mountinfo");
    const binds = sources.split("\n").filter((line) => / - (ext4|xfs|btrfs) /.test(line));
    assert.deepEqual(
      binds.map((line) => line.split(" ")[1] ?? "").toSorted((a, b) => a.localeCompare(b)),
      ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"].filter((path) => binds.some((line) => line.includes(` ${path} `))),
    );
    assert.equal(await see(`test -e ${engine.stateDir} && echo visible || echo hidden`), "hidden");
    assert.equal(await see("busybox ls /dev | busybox grep -c -e vda -e sda -e mem || true"), "0");
  });
});

test("the API tells who has no certificate how the engine is, nothing else, and listens on loopback", async (t) => {
  const engine = await startEngine(t);
  const server = new URL(await engine.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"));
  assert.equal(server.hostname, "127.0.0.1");
  const said = async (path: string): Promise<string> => {
    const socket = connect({ host: server.hostname, port: Number(server.port), rejectUnauthorized: false });
    socket.end(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    return text;
  };
  assert.match(await said("/readyz"), /^HTTP\/1.1 200 [^]*ok$/);
  for (const path of ["/version", "/api/v1/secrets", "/peapod.dev/v1/engine"])
    assert.match(await said(path), /^HTTP\/1.1 401 [^]*"Unauthorized"/);
});

test("what runs, with the secrets in its environment, is described in memory alone", async (t) => {
  const engine = await startEngine(t);
  const env = [{ name: "PASSWORD", valueFrom: { secretKeyRef: { name: "keys", key: "password" } } }];
  const secret = JSON.stringify({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "keys" },
    stringData: { password: "unusual-word-4711" },
  });
  await applyReady(engine, list(secret, pod("keeper", { containers: [idle("main", { env })] })), "keeper");
  assert.equal((await engine.command("stat", ["--file-system", "--format=%T", engine.runDir])).stdout.trim(), "tmpfs");
  // On disk it is in the store of objects alone, which root alone may read.
  const onDisk = await engine.command("grep", ["-rl", "unusual-word-4711", engine.stateDir]);
  assert.deepEqual(
    onDisk.stdout.split("\n").filter((path) => path !== "" && !path.startsWith(join(engine.stateDir, "store.db"))),
    [],
  );
});

test("state directories are for root alone", async (t) => {
  const engine = await startEngine(t);
  for (const folder of [engine.stateDir, engine.runDir]) assert.equal(statSync(folder).mode & 0o777, 0o700);
  for (const name of readdirSync(join(engine.stateDir, "pki")))
    assert.equal(statSync(join(engine.stateDir, "pki", name)).mode & 0o077, 0, name);
});
