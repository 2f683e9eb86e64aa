import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger, type Scope, systemClock } from "@peapod/kit";
import type { Resolve } from "../upstream/names.ts";
import type { FrameStatus } from "../../frame/admin/status.ts";
import { FrameMetrics } from "../../frame/program/metrics.ts";
import { runCompanion } from "../../frame/program/run.ts";
import { ambassador } from "../companion.ts";
import type { AmbassadorStatus } from "./status.ts";
import { startWork } from "./work.ts";

/** A server that says its name to each connection, and then what it is told. */
export interface EchoServer {
  readonly port: number;
  readonly connections: ReadonlySet<Socket>;
  /** Refuses new connections; those that stand go on. */
  refuse(): void;
}

/** Starts one on a free port of loopback; it ends with the scope. */
export async function startEcho(scope: Scope, name: string): Promise<EchoServer> {
  const connections = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.add(socket);
    socket.on("error", () => {}); // a reset is an end
    socket.once("close", () => connections.delete(socket));
    socket.write(`${name}\n`);
    socket.pipe(socket);
  });
  scope.defer(async () => {
    for (const socket of connections) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // a TCP server's address is one
  return { port, connections, refuse: () => void server.close() };
}

/** A client that reads lines. */
export class LineClient implements Disposable {
  readonly socket: Socket;
  readonly #lines: AsyncIterator<string>;

  constructor(where: number | string) {
    this.socket = typeof where === "number" ? connect(where, "127.0.0.1") : connect({ path: where });
    this.socket.on("error", () => {}); // the reader sees the end
    this.#lines = linesOf(this.socket);
  }

  /** The next line; undefined at the end. */
  async line(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next();
    return done === true ? undefined : value;
  }

  /** Sends a line and gives the one that comes back. */
  async ask(text: string): Promise<string | undefined> {
    this.socket.write(`${text}\n`);
    return await this.line();
  }

  /** Sends no more and waits until the other side has ended too. */
  async end(): Promise<void> {
    this.socket.end();
    if (!this.socket.destroyed) await once(this.socket.resume(), "close");
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

async function* linesOf(socket: Socket): AsyncGenerator<string, void> {
  let text = "";
  try {
    for await (const chunk of socket) {
      text += String(chunk);
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        yield text.slice(0, end);
        text = text.slice(end + 1);
      }
    }
  } catch {
    // reset: an end like any other
  }
}

/** An ambassador as the program runs it, in this process. */
export interface RunningAmbassador {
  readonly folder: string;
  readonly configFile: string;
  /** By the listener's name, at the start. */
  port(listener: string): number;
  readonly admin: number;
  readonly lines: readonly Record<string, unknown>[];
  /** Rewrites the configuration file. */
  configure(config: unknown): Promise<void>;
  /** As the first SIGTERM does. */
  readonly stop: AbortController;
  /** As the second does. */
  readonly hurry: AbortController;
  readonly ended: Promise<void>;
}

/** Runs one with this configuration and an admin server on a free port; it ends with the scope. */
export async function startAmbassador(
  scope: Scope,
  config: Record<string, unknown>,
  options: { readonly resolve?: Resolve } = {},
): Promise<RunningAmbassador> {
  const folder = await mkdtemp(join(tmpdir(), "ambassador-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const configFile = join(folder, "ambassador.yaml");
  const configure = (next: unknown): Promise<void> => writeFile(configFile, typeof next === "string" ? next : JSON.stringify(next)); // YAML reads JSON
  await configure(withAdmin(config));
  const lines: Record<string, unknown>[] = [];
  const listening = Promise.withResolvers<Record<string, unknown>>();
  const write = (text: string): void => {
    const line = JSON.parse(text) as Record<string, unknown>; // what the logger wrote
    lines.push(line);
    if (line["message"] === "ambassador listens") listening.resolve(line);
  };
  const stop = new AbortController();
  const hurry = new AbortController();
  const parts = {
    source: { kind: "file", path: configFile, environment: {} } as const,
    metrics: new FrameMetrics(ambassador),
    log: createLogger({ level: "debug", write }),
    clock: systemClock,
    setLogLevel: () => {},
  };
  const start = (given: Parameters<typeof startWork>[0]): ReturnType<typeof startWork> => startWork({ ...given, ...options });
  const ended = runCompanion({ ...ambassador, start }, parts, stop.signal, hurry.signal);
  ended.catch(listening.reject);
  scope.defer(async () => {
    stop.abort();
    hurry.abort();
    await ended;
  });
  const ports = (await listening.promise)["listeners"] as Readonly<Record<string, string>>; // as the program logs them
  const admin = lines.find(({ message }) => message === "admin server listens")?.["address"];
  return {
    folder,
    configFile,
    port: (listener) => portOf(ports[listener]),
    admin: portOf(typeof admin === "string" ? admin : undefined),
    lines,
    configure: (next) => configure(typeof next === "string" ? next : withAdmin(next as Record<string, unknown>)),
    stop,
    hurry,
    ended,
  };
}

/** A `tcp` listener on a free port, without health checks. */
export function tcpListener(name: string, upstreamPort: number, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name,
    protocol: "tcp",
    listen: "127.0.0.1:0",
    upstream: { endpoints: [`127.0.0.1:${upstreamPort}`], healthCheck: "off" },
    ...more,
  };
}

/** Asks an HTTP server of loopback. */
export async function ask(
  port: number,
  path: string,
  options: { readonly method?: string; readonly headers?: Record<string, string> } = {},
): Promise<{ readonly status: number; readonly body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const asking = request({ host: "127.0.0.1", port, path, agent: false, ...options }, (response) => {
    let body = "";
    response.setEncoding("utf8").on("data", (text: string) => (body += text));
    response.once("end", () => resolve({ status: response.statusCode ?? 0, body }));
  });
  asking.once("error", reject);
  asking.end();
  return await promise;
}

function withAdmin(config: Record<string, unknown>): Record<string, unknown> {
  return { admin: { listen: "127.0.0.1:0" }, accessLog: true, ...config };
}

function portOf(address: string | undefined): number {
  return Number(address?.slice(address.lastIndexOf(":") + 1));
}

/** What the admin server says of the program. */
export async function statusOf({ admin }: RunningAmbassador): Promise<AmbassadorStatus & FrameStatus> {
  return JSON.parse((await ask(admin, "/status")).body) as AmbassadorStatus & FrameStatus; // what the program wrote
}
