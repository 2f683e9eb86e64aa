import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chownSync, closeSync, copyFileSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually, type Scope } from "@peapod/kit";

const run = promisify(execFile);

export interface MariadbServer {
  readonly port: number;
  readonly socketPath: string;
  readonly folder: string;
  /** Runs SQL as root, over the socket, and gives what the `mariadb` client prints without headings. */
  sql(statements: string): Promise<string>;
}

export interface MariadbOptions {
  /** More of its flags. */
  readonly flags?: readonly string[];
  /** What it shows to clients that ask for TLS; `caFile` is for theirs. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly caFile: string };
}

/** Starts Debian's real MariaDB over a data folder of its own, in a second or two; all of it goes with the scope. */
export async function startMariadb(scope: Scope, { flags: more = [], tls }: MariadbOptions = {}): Promise<MariadbServer> {
  const folder = mkdtempSync(join(tmpdir(), "ambassador-mariadb-"));
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const ssl = tls === undefined ? [] : copyTls(folder, tls);
  const asUser = await privileges(folder);
  const [dataFolder, socketPath, logPath] = [join(folder, "data"), join(folder, "s"), join(folder, "log")];
  const small = [
    `--tmpdir=${folder}`, // servers that are set up at once would take each other's temporary tables
    "--innodb-buffer-pool-size=8M",
    "--innodb-log-file-size=4M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
  ];
  const install = ["mariadb-install-db", "--no-defaults", `--datadir=${dataFolder}`, "--auth-root-authentication-method=normal"];
  await runAs(asUser, [...install, "--skip-test-db", "--skip-name-resolve", ...small]);
  const port = await freePort();
  const flags = [`--datadir=${dataFolder}`, `--socket=${socketPath}`, `--pid-file=${join(folder, "pid")}`, `--port=${port}`];
  const plain = ["--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin", "--performance-schema=off", "--local-infile=1"];
  const log = openSync(logPath, "w");
  const [command = "", ...args] = [...asUser, "mariadbd", "--no-defaults", ...flags, ...plain, ...small, ...ssl, ...more];
  const server = spawn(command, args, { stdio: ["ignore", log, log] });
  closeSync(log);
  const ended = new Promise<void>((resolve) => server.once("close", () => resolve()).once("error", () => resolve()));
  scope.defer(async () => {
    server.kill("SIGKILL"); // its data goes too
    await ended;
  });
  const sql = async (statements: string): Promise<string> => {
    const client = ["--no-defaults", `--socket=${socketPath}`, "--user=root", "--skip-column-names", "--batch", "-e", statements];
    return (await run("mariadb", client)).stdout.trim();
  };
  await eventually(() => whenReady(server, logPath, sql), { withinMs: 20_000, everyMs: 50 });
  return { port, socketPath, folder, sql };
}

/** Its user may not look into other folders. */
function copyTls(folder: string, tls: NonNullable<MariadbOptions["tls"]>): string[] {
  const copy = (path: string, name: string): string => {
    const copied = join(folder, name);
    copyFileSync(path, copied);
    return copied;
  };
  return [`--ssl-cert=${copy(tls.certFile, "crt")}`, `--ssl-key=${copy(tls.keyFile, "key")}`, `--ssl-ca=${copy(tls.caFile, "ca")}`];
}

async function whenReady(server: ChildProcess, logPath: string, sql: MariadbServer["sql"]): Promise<boolean> {
  if (server.exitCode !== null) throw new Error(`mariadbd ended: ${readFileSync(logPath, "utf8").slice(-2000)}`);
  return (await sql("SELECT 1")) === "1";
}

/** MariaDB does not run as root: its own user owns the folder then. */
async function privileges(folder: string): Promise<string[]> {
  if (process.getuid?.() !== 0) return [];
  const id = async (kind: string): Promise<number> => Number((await run("id", [kind, "mysql"])).stdout);
  const [uid, gid] = [await id("-u"), await id("-g")];
  for (const path of [folder, ...readdirSync(folder).map((name) => join(folder, name))]) chownSync(path, uid, gid);
  return ["setpriv", "--reuid=mysql", "--regid=mysql", "--init-groups"];
}

async function runAs(asUser: readonly string[], words: readonly string[]): Promise<void> {
  const [command = "", ...args] = [...asUser, ...words];
  await run(command, args);
}

/** Below the ports that the kernel hands out, so that no other test's socket takes it before the server does. */
async function freePort(): Promise<number> {
  const port = 15_000 + Math.floor(Math.random() * 15_000);
  const probe = createServer();
  const isFree = await new Promise<boolean>((resolve) => {
    probe.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
  });
  if (!isFree) return await freePort();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
