/** Test support: Debian's docker-registry on a free port of loopback. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer as createHttpServer, request } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { eventually, run, type Scope } from "@peapod/kit";

/** peapod:open-sesame, as `htpasswd -nbB` writes it. */
const htpasswd = "peapod:$2y$05$jk68x8m2URdcslin7/Yle.Gv/fi4Qk1yywjLaJBruekJyRv.N3nn.";
export const registryLogin = "peapod:open-sesame";

/** Starts a registry with its files in `folder`; gives `127.0.0.1:PORT`. It ends with the scope. */
export async function startRegistry(folder: string, scope: Scope, options: { withLogin?: boolean } = {}): Promise<string> {
  const address = `127.0.0.1:${await freePort()}`;
  const passwords = join(folder, "htpasswd");
  await writeFile(passwords, htpasswd);
  const config = {
    version: "0.1",
    log: { level: "error", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, "registry") } },
    http: { addr: address },
    ...(options.withLogin === true ? { auth: { htpasswd: { realm: "test", path: passwords } } } : {}),
  };
  const path = join(folder, "registry.json");
  await writeFile(path, JSON.stringify(config)); // JSON is YAML
  const child = spawn("docker-registry", ["serve", path], { stdio: "ignore" });
  const ended = once(child, "exit");
  scope.defer(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  await eventually(async () => (await fetch(`http://${address}/v2/`)).status !== 0, { withinMs: 10_000 });
  return address;
}

/** Copies what lies in an OCI layout into a registry. */
export async function push(layout: string, target: string, options: { all?: boolean; format?: "v2s2" } = {}): Promise<void> {
  const flags = ["--insecure-policy", "--dest-tls-verify=false", "--dest-creds", registryLogin];
  const format = options.format === undefined ? [] : ["--format", options.format];
  const all = options.all === true ? ["--all"] : [];
  await run("skopeo", ["copy", "--quiet", ...all, ...format, ...flags.slice(1), layout, `docker://${target}`], {
    signal: new AbortController().signal,
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("No port");
  return address.port;
}

/** A way to a registry that counts the blobs asked for, and can hold back the rest of each answer after some bytes. */
export interface RegistryProxy {
  readonly address: string;
  /** The digests of the blobs asked for. */
  readonly blobs: string[];
  /** Bytes of a blob that pass before it stops for good; undefined: all. */
  holdAfterBytes: number | undefined;
}

/** Starts a proxy before the registry at `target`. It ends with the scope. */
export async function startProxy(target: string, scope: Scope): Promise<RegistryProxy> {
  const proxy = { address: "", blobs: [] as string[], holdAfterBytes: undefined as number | undefined };
  const server = createHttpServer((incoming, outgoing) => {
    const blob = /\/blobs\/(sha256:\w+)$/.exec(incoming.url ?? "")?.[1];
    if (blob !== undefined && incoming.method === "GET") proxy.blobs.push(blob);
    const forward = request(
      `http://${target}${incoming.url}`,
      { method: incoming.method ?? "GET", headers: incoming.headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        let passed = 0;
        answer.on("data", (chunk: Buffer) => {
          const rest = blob === undefined || proxy.holdAfterBytes === undefined ? chunk.length : Math.max(0, proxy.holdAfterBytes - passed);
          passed += chunk.length;
          outgoing.write(chunk.subarray(0, rest));
        });
        answer.on("end", () => (proxy.holdAfterBytes === undefined || passed <= proxy.holdAfterBytes ? outgoing.end() : undefined));
        answer.on("error", () => outgoing.destroy());
      },
    );
    forward.on("error", () => outgoing.destroy());
    incoming.pipe(forward);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  scope.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("No port");
  proxy.address = `127.0.0.1:${address.port}`;
  return proxy;
}
