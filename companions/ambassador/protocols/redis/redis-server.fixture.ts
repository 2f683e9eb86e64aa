import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, type Scope } from "@peapod/kit";

export interface RedisServer {
  readonly port: number;
}

export interface RedisServerOptions {
  readonly scope: Scope;
  /** As on its command line: `--requirepass`, `--user app on >secret ~* &* +@all`. */
  readonly args?: readonly string[];
  /** It speaks only TLS then. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly caFile: string };
}

/** Starts Debian's redis-server on a free port of loopback, with nothing kept on disk; it ends with the scope. */
export async function startRedisServer({ scope, args = [], tls }: RedisServerOptions): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), "ambassador-redis-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  for (let attempt = 0; ; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 10_000); // Redis takes no port 0; below the ports that the kernel gives out
    const ports = tls === undefined ? ["--port", `${port}`] : ["--port", "0", "--tls-port", `${port}`, ...tlsArgs(tls)];
    const child = spawn("redis-server", ["--bind", "127.0.0.1", "--save", "", "--dir", folder, ...ports, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const exited = new Promise((resolve) => child.once("exit", resolve).once("error", resolve));
    scope.defer(async () => {
      child.kill("SIGKILL");
      await exited;
    });
    const isUp = await eventually(
      async () => {
        if (child.exitCode === null) return await isListening(port);
        if (attempt < 5 && output.includes("Address already in use")) return "taken";
        throw new Error(`redis-server ended: ${output}`);
      },
      { withinMs: 5_000 },
    );
    if (isUp === true) return { port };
  }
}

function tlsArgs({ certFile, keyFile, caFile }: NonNullable<RedisServerOptions["tls"]>): string[] {
  return ["--tls-cert-file", certFile, "--tls-key-file", keyFile, "--tls-ca-cert-file", caFile, "--tls-auth-clients", "optional"];
}

async function isListening(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, "127.0.0.1", () => resolve(true)).once("error", () => resolve(false));
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}
