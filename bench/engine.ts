import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pods } from "@peapod/api";
import { type Client, connectHttp, type HttpClient } from "@peapod/client";
import { eventually, run, type Scope } from "@peapod/kit";

/** An engine of the benchmark's own, warm, and a client of its API. */
export interface BenchEngine {
  readonly client: HttpClient;
  readonly pid: number;
  readonly engineId: string;
  readonly stateDir: string;
  readonly runDir: string;
  /** Runs a peapod command against it. */
  peapod(...args: readonly string[]): Promise<string>;
}

const ownLauncher = fileURLToPath(new URL("../peapod", import.meta.url));

/** A new folder on a disk: file systems in memory carry overlays, too, and would be faster than where pods really are. */
export function makeFolder(): string {
  mkdirSync("/var/lib/peapod", { recursive: true, mode: 0o700 });
  return mkdtempSync("/var/lib/peapod/bench-");
}

/** Starts an engine, of this checkout or another, with directories and a port of its own; the scope's end stops it and removes them. */
export async function startEngine(scope: Scope, signal: AbortSignal, launcher = ownLauncher): Promise<BenchEngine> {
  const folder = makeFolder();
  const stateDir = join(folder, "state");
  const runDir = `/run/peapod-${folder.slice(-6)}`;
  scope.defer(() => {
    for (const path of [folder, runDir]) rmSync(path, { recursive: true, force: true });
  });
  const env = {
    ...(process.env as Record<string, string>),
    PEAPOD_STATE_DIR: stateDir,
    PEAPOD_RUN_DIR: runDir,
    PEAPOD_LISTEN: "127.0.0.1:0",
  }; // a set variable is a string
  // In a process group of its own: Ctrl-C is the benchmark's, which still needs the engine to delete its pods.
  const child = spawn(launcher, ["serve", "--log-level=warn"], { env, stdio: ["ignore", "inherit", "inherit"], detached: true });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  scope.defer(async () => {
    child.kill("SIGTERM");
    await exited;
  });
  const peapod = async (...args: readonly string[]): Promise<string> =>
    (await run(launcher, args, { env, signal, timeoutMs: 120_000 })).stdout;
  const kubeconfig = join(stateDir, "admin.kubeconfig");
  await eventually(() => peapod("image", "list"), { withinMs: 20_000, everyMs: 100 });
  const { pid } = JSON.parse(readFileSync(join(runDir, "engine.json"), "utf8")) as { pid: number }; // written by the engine
  const engineId = readFileSync(join(stateDir, "engine-id"), "utf8").trim();
  const client = await connectHttp({ kubeconfig });
  scope.defer(() => deleteAllPods(client, AbortSignal.timeout(120_000)));
  return { client, pid, engineId, stateDir, runDir, peapod };
}

/** Deletes every pod, eight at a time, and waits until they are gone. */
async function deleteAllPods(client: Client, signal: AbortSignal): Promise<void> {
  const { items } = await client.list(pods, {}, signal);
  await each(items, async ({ metadata: { namespace = "", name = "" } }) =>
    client.delete(pods, { namespace, name }, { gracePeriodSeconds: 1 }, signal),
  );
  await eventually(async () => (await client.list(pods, {}, signal)).items.length === 0, { withinMs: 120_000, everyMs: 100 });
}

/** Requests under way at once of whoever creates, connects and deletes. */
const CLIENTS = 8;

/** Does something for each, some at a time. */
export async function each<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const waiting = [...items];
  const client = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}
