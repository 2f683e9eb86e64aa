import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Scope } from "@peapod/kit";

const exec = promisify(execFile);
const tools = process.env["PEAPOD_TOOLS_DIR"] ?? "/var/cache/peapod-tools";

/** Where the real PostgreSQLs of the tests are: Debian's, and the one that tools/fetch-postgres.ts fetched. */
const folders = { 15: "/usr/lib/postgresql/15", 18: join(tools, "postgres-18") } as const;

/** Debian's psql, pgbench and their like; with `libpq18`'s environment they speak protocol 3.2 and direct TLS. */
export const clientFolder = "/usr/lib/postgresql/15/bin";
/** The environment that has Debian's clients use the library of PostgreSQL 18. */
export const libpq18 = { LD_LIBRARY_PATH: join(folders[18], "lib") };

export interface PostgresOptions {
  readonly version: keyof typeof folders;
  /** What TCP connections must do to get in; the UNIX socket trusts the superuser. */
  readonly auth: "trust" | "password" | "md5" | "scram-sha-256" | "cert";
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly caFile?: string };
  /** Lines of pg_hba.conf that come before the one for `auth`. */
  readonly hba?: readonly string[];
  /** Only with TLS over TCP. Default: where `tls` is given. */
  readonly requiresTls?: boolean;
  /** Who may log in, with their passwords; superusers with replication, so that tests may do anything. */
  readonly users?: Readonly<Record<string, string>>;
  readonly databases?: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
  /** A read-only server that waits for more to replay. It has neither users nor databases of its own. */
  readonly isStandby?: boolean;
}

export interface PostgresServer {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** With the UNIX socket. */
  readonly folder: string;
  /** Runs SQL as the superuser, in the database `postgres`, and gives the rows as text. */
  sql(text: string): Promise<string>;
  /** Ends it before its scope does: `fast` ends its sessions politely, `immediate` like a crash. */
  stop(how?: "fast" | "immediate"): Promise<void>;
  /**
   * Stops all its processes where they are, as when its host hangs: the kernel still takes connections and bytes, and nobody answers. They go
   * on once what this gives is called, at the latest when the scope, or this process, ends.
   */
  freeze(): Promise<() => Promise<void>>;
}

/** Starts a real server of a test's own on a free port of loopback; it and its files go with the scope. Takes about 0.3 s, and 1 s the first time. */
export async function startPostgres(scope: Scope, options: PostgresOptions): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), "ambassador-pg-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  const data = join(folder, "data");
  const bin = join(folders[options.version], "bin");
  await mkdir(data, { mode: 0o700 });
  await giveToServer(folder);
  await asServer(
    join(bin, "initdb"),
    "--pgdata",
    data,
    "--username",
    "postgres",
    "--auth",
    "trust",
    "--no-sync",
    "--no-locale",
    "--encoding",
    "UTF8",
    "--no-instructions",
  );
  await configure(folder, data, options);
  await giveToServer(folder);
  const port = await freePort();
  const { stop, pid } = await run(scope, join(bin, "postgres"), [
    "-D",
    data,
    "-k",
    folder,
    "-p",
    `${port}`,
    "-F",
    "-c",
    "listen_addresses=127.0.0.1",
  ]);
  const sql = async (text: string): Promise<string> =>
    (
      await exec(join(clientFolder, "psql"), [
        "-XAtq",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        folder,
        "-p",
        `${port}`,
        "-U",
        "postgres",
        "-c",
        text,
        "postgres",
      ])
    ).stdout;
  const server: PostgresServer = { host: "127.0.0.1", port, folder, sql, stop, freeze: () => freeze(scope, pid) };
  if (options.isStandby !== true) await fill(server, options);
  return server;
}

async function configure(folder: string, data: string, options: PostgresOptions): Promise<void> {
  const { auth, tls, requiresTls = tls !== undefined, settings = {}, hba = [], isStandby } = options;
  const type = requiresTls ? "hostssl" : "host";
  const rules = ["local all all trust", ...hba, `${type} all all 127.0.0.1/32 ${auth}`, `${type} replication all 127.0.0.1/32 ${auth}`];
  await writeFile(join(data, "pg_hba.conf"), rules.map((rule) => `${rule}\n`).join(""));
  const lines = Object.entries({
    shared_buffers: "16MB",
    full_page_writes: "off",
    synchronous_commit: "off",
    ...(isStandby === true ? {} : { wal_level: "logical" }),
    password_encryption: auth === "md5" ? "md5" : "scram-sha-256",
    ...(tls === undefined ? {} : { ssl: "on", ssl_cert_file: join(folder, "tls.crt"), ssl_key_file: join(folder, "tls.key") }),
    ...(tls?.caFile === undefined ? {} : { ssl_ca_file: join(folder, "ca.crt") }),
    ...settings,
  }).map(([name, value]) => `${name} = '${value}'\n`);
  await appendFile(join(data, "postgresql.conf"), lines.join(""));
  if (isStandby === true) await writeFile(join(data, "standby.signal"), "");
  if (tls === undefined) return;
  await copyFile(tls.certFile, join(folder, "tls.crt"));
  await copyFile(tls.keyFile, join(folder, "tls.key"));
  await chmod(join(folder, "tls.key"), 0o600);
  if (tls.caFile !== undefined) await copyFile(tls.caFile, join(folder, "ca.crt"));
}

async function fill(server: PostgresServer, { users = {}, databases = [] }: PostgresOptions): Promise<void> {
  const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
  const roles = Object.entries(users).map(
    ([name, password]) => `CREATE ROLE "${name}" LOGIN SUPERUSER REPLICATION PASSWORD ${quoted(password)};`,
  );
  if (roles.length > 0) await server.sql(roles.join("\n"));
  for (const name of databases) await server.sql(`CREATE DATABASE "${name}" STRATEGY wal_log`);
}

interface RunningServer {
  readonly stop: PostgresServer["stop"];
  /** Of the postmaster, which every other process of the server is a child of. */
  readonly pid: number;
}

async function run(scope: Scope, program: string, args: readonly string[]): Promise<RunningServer> {
  const [command, ...before] = [...asServerCommand(), program];
  const child = spawn(command, [...before, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(child, "exit");
  const stop: PostgresServer["stop"] = async (how = "fast") => {
    if (child.exitCode === null && child.signalCode === null) child.kill(how === "fast" ? "SIGINT" : "SIGQUIT");
    await exited;
  };
  scope.defer(() => stop("immediate"));
  let said = "";
  const ready = Promise.withResolvers<void>();
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    if (/database system is ready to accept (read-only )?connections/.test(said)) ready.resolve();
  });
  await Promise.race([
    ready.promise,
    exited.then(() => {
      throw new Error(`PostgreSQL did not start: ${said}`);
    }),
  ]);
  if (child.pid === undefined) throw new Error("PostgreSQL has no process");
  return { stop, pid: child.pid };
}

/** A shell stops them, and lets them go on when its standard input ends, which it does with this process too, whatever becomes of that. */
async function freeze(scope: Scope, postmaster: number): Promise<() => Promise<void>> {
  const script = `trap '' INT TERM HUP; kill -STOP ${postmaster}
    all="${postmaster} $(cat /proc/${postmaster}/task/*/children)"
    kill -STOP $all; echo stopped; read -r _; kill -CONT $all`;
  const shell = spawn("sh", ["-c", script], { stdio: ["pipe", "pipe", "ignore"], detached: true });
  const ended = once(shell, "exit");
  const thaw = async (): Promise<void> => {
    shell.stdin.end();
    await ended;
  };
  scope.defer(thaw);
  await once(shell.stdout, "data");
  return thaw;
}

/** PostgreSQL refuses to run as root. */
function asServerCommand(): [string, ...string[]] {
  return process.getuid?.() === 0
    ? ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", "env", "LC_ALL=C.UTF-8"]
    : ["env", "LC_ALL=C.UTF-8"];
}

async function asServer(...args: readonly string[]): Promise<void> {
  const [command, ...before] = asServerCommand();
  await exec(command, [...before, ...args]);
}

async function giveToServer(folder: string): Promise<void> {
  if (process.getuid?.() === 0) await exec("chown", ["-R", "postgres:postgres", folder]);
}

/** A port of loopback that nobody listens on, a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // a TCP server's address is one
  await new Promise((resolve) => server.close(resolve));
  return port;
}
