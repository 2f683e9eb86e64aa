import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, run } from "@peapod/kit";
import { inReverse, startEngine, type TestScope } from "./engine-fixture.ts";
import { applyReady, field, idle, inContainer, list, output, pod, shell } from "./pods.ts";

const signal = (): AbortSignal => AbortSignal.timeout(60_000);
const WEB = "busybox mkdir -p /www; echo served > /www/index.html; exec /bin/busybox httpd -f -p 80 -h /www";

/** A network namespace with the face of a machine: an uplink with an address and a default route; it forwards nothing yet, so Docker will shut FORWARD. */
async function makeMachine(t: TestScope): Promise<string> {
  const name = `peapod-test-${process.pid}`;
  const script = `ip netns add ${name} && ip -n ${name} link set lo up && ip -n ${name} link add uplink type veth peer name outside && ip -n ${name} addr add 192.0.2.10/24 dev uplink && ip -n ${name} link set uplink up && ip -n ${name} link set outside up && ip -n ${name} route add default via 192.0.2.1 && nsenter --net=/run/netns/${name} sh -c "echo 0 > /proc/sys/net/ipv4/ip_forward"`;
  await run("sh", ["-c", script], { signal: signal() });
  t.after(async () => void (await run("ip", ["netns", "delete", name], { signal: signal() })));
  return `/run/netns/${name}`;
}

/** A real dockerd in that namespace, with its firewall; gives how to run docker there. */
async function startDocker(t: TestScope, netns: string): Promise<(...args: readonly string[]) => Promise<string>> {
  const folder = mkdtempSync(join(tmpdir(), "peapod-docker-"));
  const socket = `unix://${folder}/docker.sock`;
  const daemon = spawn(
    "nsenter",
    [
      `--net=${netns}`,
      "dockerd",
      "--host",
      socket,
      "--data-root",
      join(folder, "data"),
      "--exec-root",
      join(folder, "exec"),
      "--pidfile",
      join(folder, "pid"),
      "--storage-driver",
      "vfs",
    ],
    { stdio: "ignore" },
  );
  const exited = new Promise<void>((resolve) => daemon.once("exit", () => resolve()));
  const docker = async (...args: readonly string[]): Promise<string> =>
    (await run("/usr/bin/docker", ["--host", socket, ...args], { signal: signal() })).stdout;
  t.after(async () => {
    daemon.kill("SIGTERM");
    await exited;
    await run("sh", ["-c", `awk '{print $5}' /proc/self/mountinfo | grep '^${folder}/' | sort -r | xargs -r -n 1 umount -l; true`], {
      signal: signal(),
    });
    rmSync(folder, { recursive: true, force: true });
  });
  await eventually(() => docker("info"), { withinMs: 30_000, everyMs: 200 });
  return docker;
}

test("beside Docker and Podman with their firewalls, everything works, theirs too", async (t) => {
  const scope = inReverse(t);
  const netns = await makeMachine(scope);
  const docker = await startDocker(scope, netns);
  const folder = mkdtempSync(join(tmpdir(), "peapod-podman-"));
  const podman = async (...args: readonly string[]): Promise<string> =>
    (
      await run(
        "nsenter",
        [
          `--net=${netns}`,
          "podman",
          "--root",
          join(folder, "root"),
          "--runroot",
          join(folder, "run"),
          "--tmpdir",
          join(folder, "tmp"),
          "--runtime",
          "runc",
          "--cgroup-manager",
          "cgroupfs",
          "--network-config-dir",
          join(folder, "net"),
          ...args,
        ],
        { signal: signal() },
      )
    ).stdout;
  scope.after(async () => {
    await podman("rm", "--all", "--force", "--time=0");
    await podman("system", "reset", "--force");
    rmSync(folder, { recursive: true, force: true });
  });
  const rootfs = join(folder, "rootfs.tar");
  await run(
    "sh",
    [
      "-c",
      `mkdir -p ${folder}/rootfs/bin ${folder}/rootfs/tmp && cp /bin/busybox ${folder}/rootfs/bin/ && ln -s busybox ${folder}/rootfs/bin/sh && tar -C ${folder}/rootfs -cf ${rootfs} .`,
    ],
    { signal: signal() },
  );
  await docker("import", rootfs, "web");
  await podman("import", "--quiet", rootfs, "localhost/web");
  const inMachine = async (script: string): Promise<string> =>
    (await run("nsenter", [`--net=${netns}`, "sh", "-c", script], { signal: signal() })).stdout.trim();
  const served = (address: string) =>
    eventually(async () => assert.equal(await inMachine(`curl -sf --max-time 2 http://${address}/`), "served"), {
      withinMs: 10_000,
      everyMs: 200,
    });
  const script = WEB.replace("busybox mkdir", "/bin/busybox mkdir");
  await docker("run", "-d", "--name", "web", "-p", "18080:80", "web", "/bin/busybox", "sh", "-c", script);
  // A machine may lack the right to raise limits, which podman does by default.
  await podman(
    "run",
    "-d",
    "--ulimit=nofile=1024:1024",
    "--ulimit=nproc=1024:1024",
    "--name",
    "web",
    "-p",
    "18081:80",
    "localhost/web",
    "/bin/busybox",
    "sh",
    "-c",
    script,
  );
  await served("192.0.2.10:18080");
  await served("192.0.2.10:18081");
  assert.match((await run("nsenter", [`--net=${netns}`, "iptables", "-S", "FORWARD"], { signal: signal() })).stdout, /-P FORWARD DROP/);

  const engine = await startEngine(scope, { netns });
  const archive = engine.file("web.tar", "");
  await docker("save", "--output", archive, "web");
  await engine.peapod("image", "load", archive);
  const image = { image: "docker.io/library/web:latest", imagePullPolicy: "Never" }; // no registry can be reached from here
  await applyReady(
    engine,
    list(
      pod("server", { containers: [shell("web", WEB, { ...image, ports: [{ containerPort: 80, hostPort: 18082 }] })] }),
      pod("client", { containers: [idle("main", image)] }),
    ),
    "server",
    "client",
  );
  const ip = await field(engine, "pod/server", ".status.podIP");
  const hostIP = await field(engine, "pod/server", ".status.hostIP");
  const get = (address: string): string => `busybox timeout 2 busybox wget -q -O - http://${address}/`;
  await t.test("pod to pod, by address and by the node's published port", async () => {
    assert.equal(await output(engine, "client", "main", get(`${ip}`)), "served");
    assert.equal(await output(engine, "client", "main", get(`${hostIP}:18082`)), "served");
    assert.equal(await output(engine, "server", "web", get(`${hostIP}:18082`)), "served");
  });
  await t.test("the machine to the published port", async () => {
    await served("127.0.0.1:18082");
    await served("192.0.2.10:18082");
  });
  await t.test("Docker's and Podman's published ports still answer, from the machine and from a pod", async () => {
    for (const port of [18080, 18081]) {
      await served(`192.0.2.10:${port}`);
      assert.equal(await output(engine, "client", "main", get(`192.0.2.10:${port}`)), "served");
    }
  });
  await t.test("our marks go with us", async () => {
    assert.match(
      (await run("nsenter", [`--net=${netns}`, "iptables", "-S", "DOCKER-USER"], { signal: signal() })).stdout,
      new RegExp(engine.engineId()),
    );
    assert.equal((await inContainer(engine, "client", "main", "true")).exitCode, 0);
    await engine.kubectl("delete", "pods", "--all", "--grace-period=1");
    await engine.stop();
    assert.doesNotMatch(
      (await run("nsenter", [`--net=${netns}`, "iptables", "-S"], { signal: signal() })).stdout,
      new RegExp(engine.engineId()),
    );
  });
});
