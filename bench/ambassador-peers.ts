import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually, type Scope } from "@peapod/kit";

/** The three programs that forward, and the two that they forward to: redis-server and iperf3, each on a port of its own. */
export interface Peers {
  readonly names: readonly PeerName[];
  /** Where a program takes connections for a server; `direct`: the server's own port. */
  port(peer: PeerName | "direct", server: ServerName): number;
}

export type PeerName = "ambassador" | "haproxy" | "nginx";
export type ServerName = "redis" | "iperf";

const peerNames = ["ambassador", "haproxy", "nginx"] as const;
const serverNames = ["redis", "iperf"] as const;

/** Starts everything in one folder, with one thread or process each; the scope ends it. */
export async function startPeers(scope: Scope): Promise<Peers> {
  const folder = await mkdtemp(join(tmpdir(), "bench-ambassador-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const ports = new Map<string, number>();
  for (const name of ["direct", ...peerNames].flatMap((peer) => serverNames.map((server) => `${peer} ${server}`)))
    ports.set(name, await freePort([...ports.values()]));
  const port: Peers["port"] = (peer, server) => ports.get(`${peer} ${server}`) ?? 0;
  const path = (name: string): string => join(folder, name);
  await writeFile(path("haproxy.cfg"), haproxyConfig(port));
  await writeFile(path("nginx.conf"), nginxConfig(port, folder));
  await writeFile(path("ambassador.yaml"), ambassadorConfig(port));
  const program = join(dirname(dirname(fileURLToPath(import.meta.url))), "companions/ambassador/main.ts");
  start(scope, "redis-server", ["--port", `${port("direct", "redis")}`, "--save", "", "--dir", folder, "--bind", "127.0.0.1"]);
  start(scope, "iperf3", ["-s", "-B", "127.0.0.1", "-p", `${port("direct", "iperf")}`]);
  start(scope, "haproxy", ["-db", "-f", path("haproxy.cfg")]);
  start(scope, "nginx", ["-e", "stderr", "-c", path("nginx.conf")]);
  start(scope, process.execPath, [program, "--config", path("ambassador.yaml")]);
  for (const [name, number] of ports)
    await eventually(() => isListening(number), { withinMs: 10_000 }).catch((cause: unknown) => {
      throw new Error(`Nothing listens for "${name}"`, { cause });
    });
  return { names: peerNames, port };
}

function haproxyConfig(port: Peers["port"]): string {
  const sections = serverNames.map(
    (name) =>
      `listen ${name}\n  bind 127.0.0.1:${port("haproxy", name)}\n  option tcp-smart-accept\n  server s 127.0.0.1:${port("direct", name)}\n`,
  );
  const timeouts = "  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n";
  return `global\n  nbthread 1\n  maxconn 2000\ndefaults\n  mode tcp\n${timeouts}${sections.join("")}`;
}

function nginxConfig(port: Peers["port"], folder: string): string {
  const servers = serverNames.map(
    (name) => `server { listen 127.0.0.1:${port("nginx", name)}; proxy_pass 127.0.0.1:${port("direct", name)}; }`,
  );
  const module = "load_module /usr/lib/nginx/modules/ngx_stream_module.so;";
  return `${module}\ndaemon off;\nworker_processes 1;\npid ${folder}/nginx.pid;\nevents { worker_connections 4096; }\nstream { ${servers.join(" ")} }\n`;
}

function ambassadorConfig(port: Peers["port"]): string {
  const listeners = serverNames.map((name) => ({
    name,
    protocol: "tcp",
    listen: `127.0.0.1:${port("ambassador", name)}`,
    upstream: { endpoints: [`127.0.0.1:${port("direct", name)}`] },
  }));
  return JSON.stringify({ listeners, accessLog: false }); // JSON is YAML
}

function start(scope: Scope, program: string, args: readonly string[]): void {
  const child = spawn(program, args, { stdio: "ignore" });
  const exit = once(child, "exit");
  exit.catch(() => {}); // one that cannot be started never listens, which is told with its name
  scope.defer(() => end(child, exit));
}

/** SIGTERM, and SIGKILL five seconds later; `exit` settles when it has ended. */
export async function end(child: ChildProcess, exit: Promise<unknown>): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
  await exit;
  clearTimeout(timer);
}

async function freePort(taken: readonly number[]): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  server.close();
  return taken.includes(port) ? await freePort(taken) : port;
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false; // not yet
  } finally {
    socket.destroy();
  }
}
