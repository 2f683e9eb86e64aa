import { execFile, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Logger, silentLogger, systemClock } from "@peapod/kit";
import { inProcess, type TestGround } from "../verbs/api-ground.fixture.ts";
import { openPki, type Pki } from "../pki/pki.ts";
import { serve, type ServeOptions } from "./server.ts";

/** A served API for a test, with a kubeconfig for real clients. */
export interface Serving extends AsyncDisposable {
  readonly ground: TestGround;
  readonly pki: Pki;
  readonly port: number;
  readonly kubeconfig: string;
  /** Ends the server and waits for it. */
  stop(): Promise<void>;
}

/** Serves an API of its own on a free port of the loopback. */
export async function serving(
  options: Pick<ServeOptions, "nodeServer" | "extensions" | "checks"> & { log?: Logger } = {},
): Promise<Serving> {
  const ground = inProcess();
  const pki = await openPki(join(ground.folder, "pki"), []);
  const stop = new AbortController();
  const { promise: listening, resolve } = Promise.withResolvers<number>();
  const running = serve(
    {
      log: silentLogger,
      ...options,
      api: ground.api,
      pki,
      listen: { host: "127.0.0.1", port: 0 },
      clock: systemClock,
      onListening: ({ port }) => resolve(port),
    },
    stop.signal,
  );
  const port = await Promise.race([listening, running.then(() => Promise.reject(new Error("The server ended")))]);
  const kubeconfig = join(ground.folder, "kubeconfig");
  await writeFile(kubeconfig, kubeconfigText(pki, port));
  const end = async (): Promise<void> => {
    stop.abort();
    await running;
  };
  const dispose = async (): Promise<void> => {
    await end();
    await ground[Symbol.asyncDispose]();
  };
  return { ground, pki, port, kubeconfig, stop: end, [Symbol.asyncDispose]: dispose };
}

function kubeconfigText(pki: Pki, port: number): string {
  const data = (text: string): string => Buffer.from(text).toString("base64");
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "test",
    clusters: [{ name: "test", cluster: { server: `https://127.0.0.1:${port}`, "certificate-authority-data": data(pki.ca) } }],
    users: [{ name: "test", user: { "client-certificate-data": data(pki.adminCert), "client-key-data": data(pki.adminKey) } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
  });
}

/** The binaries of this version of kubectl and the Helm that goes with it, put there by tools/fetch-kubectl.ts. */
export function clientBinaries(version: "v32" | "v35"): { readonly kubectl: string; readonly helm: string } {
  const folder = join(process.env["PEAPOD_TOOLS_DIR"] ?? "/var/cache/peapod-tools", `kubectl-${version}`);
  return { kubectl: join(folder, "kubectl"), helm: join(folder, "helm") };
}

/** What a client's run left behind. */
export interface ClientResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a real client, such as kubectl, against a served API. */
export function runClient(binary: string, served: Serving, args: readonly string[], input?: string): Promise<ClientResult> {
  const env = { PATH: process.env["PATH"] ?? "", HOME: served.ground.folder, KUBECONFIG: served.kubeconfig };
  return new Promise((resolve) => {
    const child = execFile(binary, args, { env, timeout: 20_000, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : typeof error.code === "number" ? error.code : 255, stdout, stderr });
    });
    child.stdin?.on("error", () => {}); // a command that reads no input
    child.stdin?.end(input);
  });
}

/** Starts a kubectl that goes on, such as `get -w`; gives what it printed so far. */
export function kubectlBackground(binary: string, served: Serving, args: readonly string[]): { output(): string; stop(): Promise<void> } {
  const env = { PATH: process.env["PATH"] ?? "", HOME: served.ground.folder, KUBECONFIG: served.kubeconfig };
  const child = spawn(binary, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
  return {
    output: () => output,
    stop: async () => {
      child.kill("SIGKILL");
      await closed;
    },
  };
}
