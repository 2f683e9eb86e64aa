import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { eventually, run, Scope } from "@peapod/kit";
import { freePort, startPostgres } from "../companions/ambassador/protocols/postgres/postgres-server.fixture.ts";
import { startRedisServer } from "../companions/ambassador/protocols/redis/redis-server.fixture.ts";

const main = join(dirname(dirname(fileURLToPath(import.meta.url))), "companions", "ambassador", "main.ts");
const MIB = 1024 * 1024;

/** How many connections of each protocol, in all. */
const loads = { tcp: 200_000, http: 50_000, redis: 50_000, postgres: 20_000 } as const;
const ROUNDS = 4;
/** What warms the program up: so many connections it takes until V8 and the C library have as much memory as they come to work with. */
const WARM_SHARE = 0.25;
/** What the program may have more of at the end than once it was warm. Its heap is measured after a collection; its memory is not given back at once. */
const bounds = { "resident MiB": 48, "heap MiB": 3, descriptors: 4, handles: 4 } as const;

type Load = keyof typeof loads;
type Point = Record<keyof typeof bounds, number>;

/** Many short connections through one program: prints what it holds at several points, and fails where that grows. Minutes; ten at most. */
export async function ambassadorSoak(_args: readonly string[], parent: AbortSignal): Promise<void> {
  const signal = AbortSignal.any([parent, AbortSignal.timeout(600_000)]);
  await using scope = new Scope();
  const { pid, ports } = await startProgram(scope);
  const round = async (share: number): Promise<void> => {
    for (const [name, count] of Object.entries(loads) as [Load, number][]) await drive(name, ports[name], Math.ceil(count * share), signal);
  };
  print("", Object.fromEntries(Object.keys(bounds).map((name) => [name, name])));
  print("started", await measure(pid, ports.admin));
  await round(WARM_SHARE);
  const warm = await measure(pid, ports.admin);
  print("warm", warm);
  let now = warm;
  for (let index = 1; index <= ROUNDS; index += 1) {
    await round((1 - WARM_SHARE) / ROUNDS);
    now = await measure(pid, ports.admin);
    print(`${Math.round(100 * (WARM_SHARE + ((1 - WARM_SHARE) * index) / ROUNDS))} %`, now);
  }
  print("bound", Object.fromEntries(Object.entries(bounds).map(([name, bound]) => [name, `+${bound}`])));
  const grown = (Object.keys(bounds) as (keyof Point)[]).filter((name) => now[name] - warm[name] > bounds[name]);
  if (grown.length > 0) throw new Error(`The ambassador leaks: ${grown.join(", ")}`);
}

function print(what: string, values: Readonly<Record<string, number | string>>): void {
  const cells = Object.values(values).map((value) =>
    (typeof value === "number" ? value.toFixed(value % 1 === 0 ? 0 : 1) : value).padStart(14),
  );
  process.stdout.write(`${what.padEnd(10)}${cells.join("")}\n`);
}

async function startProgram(scope: Scope): Promise<{ pid: number; ports: Record<Load | "admin", number> }> {
  const folder = mkdtempSync(join(tmpdir(), "bench-soak-"));
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, "secret\n");
  // Says its word, and ends where it is told to end first.
  const echo = createServer(
    (socket) => void socket.on("error", () => {}).on("data", (chunk) => (chunk.includes("end") ? socket.end(chunk) : socket.write(chunk))),
  );
  const web = createHttpServer((_, response) => response.end("well"));
  const servers = {
    tcp: await listen(echo, scope),
    http: await listen(web, scope),
    redis: (await startRedisServer({ scope, args: "--user app on >secret ~* &* +@all".split(" ") })).port,
    postgres: (await startPostgres(scope, { version: 15, auth: "scram-sha-256", users: { app: "secret" } })).port,
  };
  const ports = {
    admin: await freePort(),
    tcp: await freePort(),
    http: await freePort(),
    redis: await freePort(),
    postgres: await freePort(),
  };
  const login = { username: "app", passwordFile };
  const listeners = (Object.keys(servers) as Load[]).map((protocol) => ({
    protocol,
    listen: `127.0.0.1:${ports[protocol]}`,
    upstream: { endpoints: [`127.0.0.1:${servers[protocol]}`] },
    ...(protocol === "redis" || protocol === "postgres" ? { login } : {}),
  }));
  const configFile = join(folder, "ambassador.yaml");
  writeFileSync(configFile, JSON.stringify({ admin: { listen: `127.0.0.1:${ports.admin}` }, listeners })); // YAML reads JSON
  const collects = "--import=data:text/javascript,process.on('SIGUSR2',()=>gc())"; // so that the heap can be measured without its garbage
  const child = spawn(process.execPath, ["--expose-gc", collects, main, "--config", configFile], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const exited = new Promise((resolve) => child.once("close", resolve).once("error", resolve));
  scope.defer(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  await eventually(async () => (await fetch(`http://127.0.0.1:${ports.admin}/readyz`)).ok, { withinMs: 15_000 });
  return { pid: child.pid ?? 0, ports };
}

async function listen(server: Server, scope: Scope): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 4096, resolve));
  scope.defer(() => void server.close());
  return (server.address() as AddressInfo).port; // a TCP server's address is one
}

/** What the program holds once it has no connection left. */
async function measure(pid: number, port: number): Promise<Point> {
  const read = async (): Promise<(name: string) => number> => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { connection: "close" } })).text();
    return (name) =>
      (text.match(new RegExp(`^${name}(?:\\{.*\\})? .*$`, "gm")) ?? []).reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  };
  await eventually(async () => (await read())("ambassador_connections_active") === 0, { withinMs: 10_000, everyMs: 100 });
  process.kill(pid, "SIGUSR2");
  await delay(500); // a signal is heard in a turn of its own, which may come after that of a request
  const metric = await read();
  const inUse = { "resident MiB": metric("process_resident_memory_bytes") / MIB, "heap MiB": metric("nodejs_heap_size_used_bytes") / MIB };
  return { ...inUse, descriptors: metric("process_open_fds"), handles: metric("nodejs_active_handles_total") };
}

async function drive(name: Load, port: number, count: number, signal: AbortSignal): Promise<void> {
  if (name === "tcp") return await hammer(port, count, signal, (index) => ["client", "end", "reset"][index % 3] ?? "");
  if (name === "http") return await hammer(port, count, signal, () => "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const common = { signal, env: { PATH: process.env["PATH"] ?? "", PGUSER: "legacy", PGHOST: "127.0.0.1", PGPORT: `${port}` } };
  if (name === "redis")
    await run("redis-benchmark", ["-p", `${port}`, "-k", "0", "-c", "10", "-n", `${count}`, "-t", "ping_mbulk", "-q"], common);
  else {
    const script = join(tmpdir(), `bench-soak-${process.pid}.sql`);
    writeFileSync(script, "SELECT 1;\n");
    try {
      await run("pgbench", ["-n", "-C", "-c", "4", "-t", `${Math.ceil(count / 4)}`, "-f", script, "postgres"], common);
    } finally {
      rmSync(script);
    }
  }
}

/** Makes connections, 20 at a time, each of which asks once, hears something, and ends: as the client, after the server, or by a reset. */
async function hammer(port: number, count: number, signal: AbortSignal, request: (index: number) => string): Promise<void> {
  let begun = 0;
  const worker = async (): Promise<void> => {
    while (begun < count) {
      signal.throwIfAborted();
      await once(port, request(begun++));
    }
  };
  await Promise.all(Array.from({ length: 20 }, worker));
}

async function once(port: number, request: string): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let heard = 0;
  socket.on("data", (chunk) => {
    heard += chunk.length;
    if (request === "client") socket.end();
    if (request === "reset") socket.resetAndDestroy();
  });
  socket.once("error", reject).once("close", () => (heard > 0 ? resolve() : reject(new Error("A connection ended without an answer"))));
  socket.write(request);
  await promise;
}
