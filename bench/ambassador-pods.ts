import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually, run, type Scope } from "@peapod/kit";
import { end } from "./ambassador-peers.ts";

/** What forwards in a pod; `direct`: nothing does, the client asks the server's own address. */
export const forwarders = ["kernel", "haproxy", "user", "direct"] as const;
export type Forwarder = (typeof forwarders)[number];

/** Where a client of one pod finds the servers. */
export interface Pod {
  /** Begins a command that is to run in the pod's network. */
  readonly enter: readonly [string, ...string[]];
  readonly host: string;
}

/** The same in each pod, and at the servers: every one has a network of its own. */
export const ports = { redis: 6379, iperf: 5201 } as const;

const program = join(dirname(dirname(fileURLToPath(import.meta.url))), "companions/ambassador/main.ts");

/**
 * A pod for each forwarder, which is a network namespace and in it that one alone, with listeners on loopback; and the servers, redis-server
 * and iperf3, in a namespace across a veth pair. So nobody's packets pass another one's rules. The machine's own network knows nothing of
 * it, and what begins here dies with this process; the scope ends it before. Takes root.
 */
export async function startPods(scope: Scope, signal: AbortSignal): Promise<ReadonlyMap<Forwarder, Pod>> {
  const folder = await mkdtemp(join(tmpdir(), "bench-kernel-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const servers = await makeNamespace(scope);
  start(scope, servers.enter, ["redis-server", "--port", `${ports.redis}`, "--save", "", "--dir", folder, "--protected-mode", "no"]);
  start(scope, servers.enter, ["iperf3", "-s", "-p", `${ports.iperf}`]);
  const pods = new Map<Forwarder, Pod>();
  for (const [index, forwarder] of forwarders.entries()) {
    const { pid, enter } = await makeNamespace(scope);
    const [own, server] = [`198.18.${index}.1`, `198.18.${index}.2`]; // RFC 2544: for benchmarks
    const link = [`link add eth0 type veth peer name pod${index} netns ${servers.pid}`, "link set lo up", `address add ${own}/30 dev eth0`];
    await run("nsenter", [...net(pid), "ip", "-batch", "-"], { signal, input: [...link, "link set eth0 up", ""].join("\n") });
    const other = [`address add ${server}/30 dev pod${index}`, `link set pod${index} up`, ""];
    await run("nsenter", [...net(servers.pid), "ip", "-batch", "-"], { signal, input: other.join("\n") });
    const file = join(folder, forwarder);
    if (forwarder === "haproxy") await writeFile(file, haproxyConfig(server));
    else if (forwarder !== "direct") await writeFile(file, ambassadorConfig(forwarder, server));
    if (forwarder === "haproxy") start(scope, enter, ["haproxy", "-db", "-f", file]);
    else if (forwarder !== "direct") start(scope, enter, [process.execPath, program, "--config", file]);
    const host = forwarder === "direct" ? server : "127.0.0.1";
    const ping = [...enter.slice(1), "redis-cli", "-h", host, "-p", `${ports.redis}`, "ping"];
    await eventually(async () => (await run(enter[0], ping, { signal, timeoutMs: 5_000 })).stdout.trim() === "PONG", { withinMs: 10_000 });
    pods.set(forwarder, { enter, host });
  }
  return pods;
}

function haproxyConfig(server: string): string {
  const sections = Object.entries(ports).map(
    ([name, port]) => `listen ${name}\n  bind 127.0.0.1:${port}\n  option tcp-smart-accept\n  server s ${server}:${port}\n`,
  );
  const timeouts = "  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n";
  return `global\n  nbthread 1\n  maxconn 2000\ndefaults\n  mode tcp\n${timeouts}${sections.join("")}`;
}

function ambassadorConfig(datapath: "kernel" | "user", server: string): string {
  const listeners = Object.entries(ports).map(([name, port]) => ({
    name,
    protocol: "tcp",
    datapath,
    listen: `127.0.0.1:${port}`,
    upstream: { endpoints: [`${server}:${port}`] },
  }));
  return JSON.stringify({ listeners, accessLog: false }); // JSON is YAML
}

/** A network of its own, and a process in it that keeps it. */
async function makeNamespace(scope: Scope): Promise<{ readonly pid: number; readonly enter: readonly [string, ...string[]] }> {
  const { pid } = start(scope, bound, ["unshare", "--net", "sleep", "infinity"]);
  if (pid === undefined) throw new Error("Cannot start a process: setpriv is missing");
  await eventually(() => readlinkSync(`/proc/${pid}/ns/net`) !== readlinkSync("/proc/self/ns/net"), { withinMs: 5_000 });
  return { pid, enter: [...bound, "nsenter", ...net(pid)] };
}

/** What it begins is killed when this process dies, however it dies. */
const bound = ["setpriv", "--pdeathsig", "KILL"] as const;

function net(pid: number): string[] {
  return ["--target", `${pid}`, "--net"];
}

function start(scope: Scope, [command, ...enter]: readonly [string, ...string[]], args: readonly string[]): ChildProcess {
  const child = spawn(command, [...enter, ...args], { stdio: "ignore" });
  const exit = once(child, "exit");
  exit.catch(() => {}); // one that cannot be started never answers, which is told
  scope.defer(() => end(child, exit));
  return child;
}
