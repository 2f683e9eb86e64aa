import { Registry } from "prom-client";
import { credentialsFrom } from "../../credentials/credentials.ts";
import { configSchema } from "../../config/config-schema.ts";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createLogger, eventually, type Scope, systemClock } from "@peapod/kit";
import type { AmbassadorConfig } from "../../config/config.ts";
import { parseConfig } from "../../../frame/config/parse-config.ts";
import { openCredentials } from "../../../frame/credentials/file-credentials.ts";
import { Ambassador } from "../../operations/ambassador.ts";
import { Metrics } from "../../operations/metrics.ts";
import type { EndpointState } from "../../upstream/upstream.ts";
import { clientFolder } from "./postgres-server.fixture.ts";

const exec = promisify(execFile);

/** A part of a listener's configuration, as its YAML has it. */
export type Settings = Readonly<Record<string, unknown>>;

/** The ambassador as the program runs it, in this process, with one `postgres` listener. */
export interface RunningAmbassador {
  readonly port: number;
  /** Where it reads the password from. */
  readonly passwordFile: string;
  /** Puts other settings in the place of those that it began with, as a changed configuration file does. */
  reload(upstream: Settings, settings?: Settings): Promise<unknown>;
  /** Every line of its log, at the level `debug`. */
  readonly lines: readonly string[];
  /** `lines`, as text, for what must not be in it. */
  log(): string;
  /** How many connections there are. */
  connections(): number;
  endpoints(): readonly EndpointState[];
}

/** Starts it on a free port; it ends with the scope. `settings` are put over a listener that logs in as `app` with the password `secret`. */
export async function startAmbassador(scope: Scope, upstream: Settings, settings: Settings = {}): Promise<RunningAmbassador> {
  const folder = await mkdtemp(join(tmpdir(), "ambassador-login-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, "secret\n");
  const lines: string[] = [];
  const log = createLogger({ level: "debug", write: (line) => void lines.push(line) });
  const files = openCredentials({ log, clock: systemClock });
  const credentials = credentialsFrom(files);
  const watching = new AbortController();
  const watched = files.run(watching.signal).catch(() => {}); // it ends with the signal
  scope.defer(async () => {
    watching.abort();
    await watched;
  });
  const ambassador = scope.use(new Ambassador({ credentials, metrics: new Metrics(new Registry()), log, clock: systemClock }));
  const apply = async (to: Settings, { maxAge, ...others }: Settings): Promise<unknown> => {
    const login = { username: "app", passwordFile, ...(maxAge === undefined ? {} : { maxAge }) };
    return await ambassador.apply(postgresConfig(to, { login, ...others }));
  };
  await apply(upstream, settings);
  const address = ambassador.serving()[0]?.address ?? "";
  return {
    port: Number(address.slice(address.lastIndexOf(":") + 1)),
    passwordFile,
    reload: async (to, others = {}) => await apply(to, others),
    lines,
    log: () => lines.join(""),
    connections: () => ambassador.listeners().reduce((sum, { connections }) => sum + connections.size, 0),
    endpoints: () => ambassador.listeners()[0]?.upstream.endpoints() ?? [],
  };
}

function postgresConfig(upstream: Settings, settings: Settings): AmbassadorConfig {
  const listener = {
    name: "database",
    protocol: "postgres",
    listen: "127.0.0.1:0",
    upstream: { connectTimeout: "5s", retry: { attempts: 1 }, healthCheck: "off", ...upstream },
    ...settings,
  };
  return parseConfig(configSchema, JSON.stringify({ listeners: [listener], accessLog: true }), "test"); // YAML reads JSON
}

/** Runs the real psql through a port, as the application does: another user, a wrong password. Rejects with what it said on standard error. */
export async function psql(
  port: number,
  query: string,
  connection = "",
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const target = connectionString(port, connection);
  const env = { ...process.env, ...environment };
  const { stdout } = await exec(join(clientFolder, "psql"), ["-XAtq", "-v", "ON_ERROR_STOP=1", target, "-c", query], { env });
  return stdout.trimEnd();
}

/** What psql says on standard error when it fails; throws when it does not. */
export async function psqlError(port: number, connection = "", environment: Readonly<Record<string, string>> = {}): Promise<string> {
  try {
    await psql(port, "SELECT 1", connection, environment);
  } catch (error) {
    if (error instanceof Error && "stderr" in error) return String(error.stderr);
    throw error;
  }
  throw new Error("psql connected");
}

/** Interrupts psql (Ctrl-C, so that it asks for the query to be cancelled) once the query runs; gives what it said. */
export async function psqlInterrupted(
  port: number,
  query: string,
  connection = "",
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const env = { ...process.env, ...environment };
  const child = spawn(join(clientFolder, "psql"), ["-XAtq", connectionString(port, connection), "-c", query], {
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const exited = once(child, "exit");
  await eventually(
    async () => (await psql(port, `SELECT count(*) FROM pg_stat_activity WHERE query = '${query}'`, connection, environment)) === "1",
    {
      withinMs: 5_000,
    },
  );
  child.kill("SIGINT");
  await exited;
  return said;
}

function connectionString(port: number, more: string): string {
  return `host=127.0.0.1 port=${port} user=legacy password=wrong dbname=legacydb connect_timeout=10 ${more}`;
}
