import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { eventually, Scope } from "@peapod/kit";
import {
  clientFolder,
  freePort,
  type PostgresServer,
  startPostgres,
} from "../companions/ambassador/protocols/postgres/postgres-server.fixture.ts";
import { median } from "./statistics.ts";

const exec = promisify(execFile);
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The same load, by pgbench, through each of them in turn; the ratio of a row is of its medians. */
interface Load {
  readonly what: string;
  readonly args: readonly string[];
  readonly peer: "pgbouncer" | "pgbouncer, server_lifetime = 0";
  readonly aim: number;
}

const loads: readonly Load[] = [
  { what: "pgbench -S, 20 clients", args: ["-S", "-c", "20"], peer: "pgbouncer", aim: 1 },
  { what: "pgbench -S, 1 client", args: ["-S", "-c", "1"], peer: "pgbouncer", aim: 1 },
  { what: "pgbench -S -C, 10 clients", args: ["-S", "-C", "-c", "10"], peer: "pgbouncer, server_lifetime = 0", aim: 0.8 },
  { what: "pgbench -S -C, 1 client", args: ["-S", "-C", "-c", "1"], peer: "pgbouncer, server_lifetime = 0", aim: 0.8 },
];

/** PostgreSQL with credential injection: the ambassador beside PgBouncer in session mode, one process each, in front of the same server. */
export async function ambassadorPostgres(args: readonly string[], signal: AbortSignal): Promise<void> {
  const options = { rounds: { type: "string", default: "7" }, seconds: { type: "string", default: "3" } } as const;
  const { values } = parseArgs({ args: [...args], options, strict: false });
  const [rounds, seconds] = [Math.max(5, Number(values.rounds)), Math.max(1, Number(values.seconds))];
  await using scope = new Scope();
  const folder = mkdtempSync(join(tmpdir(), "bench-postgres-"));
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const server = await startPostgres(scope, {
    version: 15,
    auth: "scram-sha-256",
    users: { app: "secret" },
    databases: ["bench"],
    settings: { shared_buffers: "128MB", max_connections: "100" },
  });
  await pgbench(server.port, "app", ["-i", "-q", "-s", "10"], signal);
  const ports = {
    direct: server.port,
    ambassador: await startAmbassador(scope, folder, server),
    pgbouncer: await startPgbouncer(scope, folder, server, 3600),
    "pgbouncer, server_lifetime = 0": await startPgbouncer(scope, folder, server, 0),
  };
  process.stdout.write(`\nPostgreSQL, SCRAM, without TLS; transactions a second, medians of ${rounds} rounds of ${seconds} s:\n`);
  for (const load of loads) {
    const results: Record<"direct" | "ambassador" | "peer", number[]> = { direct: [], ambassador: [], peer: [] };
    const run = async (port: number): Promise<number> =>
      await pgbench(port, port === ports.direct ? "app" : "legacy", ["-n", "-T", `${seconds}`, ...load.args], signal);
    for (const port of [ports.ambassador, ports[load.peer]]) await run(port); // warm
    for (let round = 0; round < rounds; round += 1) {
      // In turn, and each first as often as the other: what the machine does beside this hits both.
      const turns = [
        async () => results.ambassador.push(await run(ports.ambassador)),
        async () => results.peer.push(await run(ports[load.peer])),
      ];
      for (const turn of round % 2 === 0 ? turns : turns.toReversed()) await turn();
      results.direct.push(await run(ports.direct));
    }
    process.stdout.write(`${describe(load, results)}\n`);
  }
}

function describe(load: Load, { direct, ambassador, peer }: Record<"direct" | "ambassador" | "peer", readonly number[]>): string {
  const figure = (tps: readonly number[]): string =>
    `${median(tps).toFixed(0)} (${Math.min(...tps).toFixed(0)} to ${Math.max(...tps).toFixed(0)})`;
  const ratio = median(ambassador) / median(peer);
  return `  ${load.what.padEnd(26)} ambassador ${figure(ambassador)}, ${load.peer} ${figure(peer)}, direct ${figure(direct)}
  ${"".padEnd(26)} ambassador / ${load.peer}: ${ratio.toFixed(2)}  (aim: at least ${load.aim.toFixed(1)})`;
}

/** Runs pgbench, and gives its transactions a second; 0 for its initialization. */
async function pgbench(port: number, user: string, args: readonly string[], signal: AbortSignal): Promise<number> {
  const env = { ...process.env, PGHOST: "127.0.0.1", PGPORT: `${port}`, PGUSER: user, PGPASSWORD: "secret", PGDATABASE: "bench" };
  const { stdout } = await exec(join(clientFolder, "pgbench"), [...args], { env, signal });
  return Number(/^tps = ([0-9.]+)/m.exec(stdout)?.[1] ?? 0);
}

async function startAmbassador(scope: Scope, folder: string, server: PostgresServer): Promise<number> {
  const port = await freePort();
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, "secret\n");
  const env = {
    ...process.env,
    AMBASSADOR_PROTOCOL: "postgres",
    AMBASSADOR_LISTEN: `127.0.0.1:${port}`,
    AMBASSADOR_UPSTREAM: `127.0.0.1:${server.port}`,
    AMBASSADOR_USERNAME: "app",
    AMBASSADOR_PASSWORD_FILE: passwordFile,
    AMBASSADOR_DATABASE: "bench",
    AMBASSADOR_UPSTREAM_TLS: "disable",
  };
  await startProgram(scope, port, [process.execPath, join(root, "companions/ambassador/main.ts")], env);
  return port;
}

/** As its system user: it refuses to be root. `auth_type = any` believes the client and logs in as the database's line says: what the ambassador does. */
async function startPgbouncer(scope: Scope, folder: string, server: PostgresServer, lifetimeSeconds: number): Promise<number> {
  const port = await freePort();
  const file = join(folder, `pgbouncer-${lifetimeSeconds}.ini`);
  writeFileSync(
    file,
    `[databases]
bench = host=127.0.0.1 port=${server.port} dbname=bench user=app password=secret
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = session
default_pool_size = 50
max_client_conn = 100
server_lifetime = ${lifetimeSeconds}
log_connections = 0
log_disconnections = 0
`,
  );
  const isRoot = process.getuid?.() === 0;
  const as = isRoot ? ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"] : [];
  await startProgram(scope, port, [...as, "pgbouncer", "-q", file], { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` });
  return port;
}

async function startProgram(scope: Scope, port: number, [command = "", ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(command, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-10_000)));
  const exited = once(child, "exit");
  scope.defer(async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await exited;
    clearTimeout(timer);
  });
  await Promise.race([
    eventually(async () => await isListening(port), { withinMs: 10_000 }),
    exited.then(() => {
      throw new Error(`${command} ended: ${said}`);
    }),
  ]);
}

async function isListening(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
