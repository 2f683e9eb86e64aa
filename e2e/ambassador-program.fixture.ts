import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CommandError, eventually, run, type Scope } from "@peapod/kit";

const main = join(dirname(dirname(fileURLToPath(import.meta.url))), "companions", "ambassador", "main.ts");

/** A line of the ambassador's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly message?: string; readonly code?: string };

/** The ambassador as an operator has it: a process, a configuration file, an admin server. */
export interface AmbassadorProgram {
  readonly pid: number;
  /** For sockets and secrets. */
  readonly folder: string;
  /** Everything that it wrote. */
  output(): string;
  lines(): readonly LogLine[];
  /** Where a TCP listener got its port. */
  port(listener: string): number;
  admin(path: string): Promise<string>;
  /** The sum of a metric's values, of the samples whose labels have this text. */
  metric(name: string, labels?: string): Promise<number>;
  /** Rewrites the configuration file; it is taken over a moment later. */
  configure(config: AmbassadorConfig): void;
  kill(signal: NodeJS.Signals): void;
  /** Its exit code, once it has ended and everything that it wrote is here. */
  readonly exited: Promise<number | null>;
  rssBytes(): number;
  descriptors(): number;
}

/** As the configuration file has it; the admin server is added. */
export interface AmbassadorConfig {
  readonly listeners: readonly Readonly<Record<string, unknown>>[];
  readonly [key: string]: unknown;
}

/** A folder that goes with the scope. */
export function folderFor(scope: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), "ambassador-e2e-"));
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * Starts the program and waits until it listens; it ends with the scope. `within` are the words of a command that runs it somewhere else,
 * and must become it (`exec`), for its process id. The admin server is a UNIX socket, which is reached from every network namespace.
 */
export async function startAmbassador(
  scope: Scope,
  config: AmbassadorConfig,
  options: { readonly within?: readonly string[]; readonly folder?: string } = {},
): Promise<AmbassadorProgram> {
  const folder = options.folder ?? folderFor(scope);
  const configFile = join(folder, "ambassador.yaml");
  const adminPath = join(folder, "admin.sock");
  const configure = (next: AmbassadorConfig): void => {
    const text = JSON.stringify({ admin: { listen: `unix:${adminPath}` }, accessLog: true, ...next }); // YAML reads JSON
    writeFileSync(`${configFile}.new`, text);
    renameSync(`${configFile}.new`, configFile);
  };
  configure(config);
  const [command, ...args] = [...(options.within ?? []), process.execPath, main, "--config", configFile];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { PATH: process.env["PATH"] } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const exited = new Promise<number | null>((resolve, reject) => child.once("close", resolve).once("error", reject));
  scope.defer(async () => await end(child, exited));
  const lines = (): LogLine[] => linesOf(output);
  await Promise.race([
    eventually(() => lines().some(({ message }) => message === "ambassador listens"), { withinMs: 15_000 }),
    exited.then(() => {
      throw new Error(`The ambassador ended: ${output}`);
    }),
  ]);
  const admin = async (path: string): Promise<string> => await askUnix(adminPath, path);
  const { pid = 0 } = child;
  return {
    pid,
    folder,
    output: () => output,
    lines,
    port: (listener) => portOf(lines(), listener),
    admin,
    metric: async (name, labels = "") => sumOf(await admin("/metrics"), name, labels),
    configure,
    kill: (signal) => void child.kill(signal),
    exited,
    rssBytes: () => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024,
    descriptors: () => readdirSync(`/proc/${pid}/fd`).length,
  };
}

async function end(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  await exited;
}

/** The whole lines of a log; each is JSON, or this throws. */
function linesOf(output: string): LogLine[] {
  const whole = output.slice(0, output.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as LogLine); // an object, as the logger writes it
}

function portOf(lines: readonly LogLine[], listener: string): number {
  const line = lines.findLast((one) => one["listeners"] !== undefined && typeof one["listeners"] === "object");
  const address = (line?.["listeners"] as Readonly<Record<string, string>> | undefined)?.[listener]; // what "ambassador listens" has
  if (address === undefined) throw new Error(`There is no listener ${listener}`);
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

function sumOf(exposition: string, name: string, labels: string): number {
  return exposition
    .split("\n")
    .filter((line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

async function askUnix(socketPath: string, path: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asking = request({ socketPath, path, agent: false }, (response) => {
    let body = "";
    response.setEncoding("utf8").on("data", (text: string) => (body += text));
    response.once("end", () => resolve(body)).once("error", reject);
  });
  asking.once("error", reject);
  asking.end();
  return await promise;
}

/** What a command that may fail left behind. */
export interface Finished {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a client program to its end, for 25 s at most. */
export async function client(command: string, args: readonly string[], options: { readonly input?: string } = {}): Promise<Finished> {
  const env = { PATH: process.env["PATH"] ?? "", LC_ALL: "C.UTF-8", PGCONNECT_TIMEOUT: "20" };
  try {
    return { exitCode: 0, ...(await run(command, args, { ...options, signal: AbortSignal.timeout(25_000), env })) };
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    return { exitCode: cause.exitCode, stdout: cause.stdout, stderr: cause.stderr };
  }
}
