import { spawn } from "node:child_process";
import { eventually, type Scope } from "@peapod/kit";
import type { CertificateFiles } from "../../../frame/credentials/certificates.fixture.ts";

/** A running `openssl s_server -rev`: it answers each line with the same line, backwards. */
export interface OpensslServer {
  readonly port: number;
  /** All that it has printed: among it the server name that a client asked for, and the client's certificate. */
  output(): string;
}

/** Starts one on a free port of loopback; it ends with the scope. */
export async function startOpensslServer(
  files: CertificateFiles,
  options: { readonly scope: Scope; readonly args?: readonly string[] },
): Promise<OpensslServer> {
  const child = spawn(
    "openssl",
    ["s_server", "-accept", "127.0.0.1:0", "-cert", files.certFile, "-key", files.keyFile, "-rev", ...(options.args ?? [])],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const exited = new Promise((resolve) => child.once("exit", resolve).once("error", resolve));
  options.scope.defer(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const port = await eventually(
    () => {
      const found = /ACCEPT 127\.0\.0\.1:(\d+)/.exec(output);
      if (found === null) throw new Error(`openssl s_server does not listen: ${output}`);
      return Number(found[1]);
    },
    { withinMs: 5_000 },
  );
  return { port, output: () => output };
}
