import { access, constants } from "node:fs/promises";
import { ApiError, connectHttp, type HttpClient, KubeconfigError } from "@peapod/client";
import { isErrno } from "@peapod/kit";
import type { Flags } from "./arguments.ts";
import { adminKubeconfigPath, rootError } from "./administrator.ts";
import { CliError } from "./cli-error.ts";
import type { Invocation } from "./command.ts";
import type { CliConfig } from "./config.ts";

/** The server that a command's flags choose. */
export interface Connection extends Disposable {
  readonly client: HttpClient;
  /** True: the engine of this machine. */
  readonly isLocal: boolean;
  /** `-n`, else the context's. */
  readonly namespace: string;
}

/** Connects to what `--kubeconfig` and `--context` name, else to the local engine, which with `start` is started if none runs. */
export async function connect(invocation: Invocation, options: { start: boolean } = { start: false }): Promise<Connection> {
  const { flags, config, signal } = invocation;
  const isLocal = flags.string("kubeconfig") === undefined && flags.string("context") === undefined;
  if (isLocal && options.start) {
    const { ensureEngine } = await import("./engine-process.ts");
    await ensureEngine(invocation);
  }
  const client = isLocal ? await connectLocal(config, signal) : await connectCluster(flags, config);
  return { client, isLocal, namespace: namespaceOf(flags) ?? client.namespace, [Symbol.dispose]: () => client[Symbol.dispose]() };
}

/** Connects to the engine of this machine. Throws a CliError that says what to do where there is none, or it may not be used. */
export async function connectLocal(config: CliConfig, signal: AbortSignal): Promise<HttpClient> {
  const path = adminKubeconfigPath(config);
  try {
    await access(path, constants.R_OK);
  } catch (cause) {
    if (isErrno(cause, "EACCES")) throw rootError(config, "to use the engine of this machine");
    if (isErrno(cause, "ENOENT", "ENOTDIR")) throw noEngineError(config, cause);
    throw cause;
  }
  const client = await connectHttp({ kubeconfig: path });
  try {
    await client.request({ method: "GET", path: "/version" }, signal);
    return client;
  } catch (cause) {
    client[Symbol.dispose]();
    if (cause instanceof ApiError && cause.code === 503) throw noEngineError(config, cause);
    throw cause;
  }
}

async function connectCluster(flags: Flags, config: CliConfig): Promise<HttpClient> {
  const context = flags.string("context");
  const kubeconfig = flags.string("kubeconfig") ?? config.kubeconfig;
  try {
    return await connectHttp({ kubeconfig, ...(context === undefined ? {} : { context }) });
  } catch (cause) {
    throw cause instanceof KubeconfigError ? new CliError(cause.message, { cause }) : cause;
  }
}

function noEngineError(config: CliConfig, cause: unknown): CliError {
  return new CliError(
    `No engine is running with the state directory ${config.stateDir}: start one with ${config.program} up or ${config.program} serve`,
    {
      cause,
    },
  );
}

function namespaceOf(flags: Flags): string | undefined {
  try {
    return flags.string("namespace");
  } catch {
    return undefined; // a command without the flag, such as image
  }
}
