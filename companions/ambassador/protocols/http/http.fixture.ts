import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { type Logger, type Scope, silentLogger } from "@peapod/kit";
import type { HttpListenerConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { splice } from "../../flow/splice.ts";
import { Wire } from "../../flow/wire.ts";
import type { RequestFact, Session } from "../protocol.ts";
import { fileCredentials, listenerTo, targetOf } from "../tls/serving.fixture.ts";
import { httpProtocol } from "./http.ts";

/** An ambassador of HTTP on a port of loopback, and what its sessions said. */
export interface HttpServing {
  readonly port: number;
  readonly facts: RequestFact[];
  /** What `serve` threw. */
  readonly failures: unknown[];
  readonly draining: AbortController;
  readonly end: AbortController;
  /** Client connections that have not ended. */
  readonly open: () => number;
  readonly leases: () => number;
  readonly connects: () => number;
}

export type HttpOptions = Partial<Omit<HttpListenerConfig, "upstream">> & { readonly upstream?: Partial<HttpListenerConfig["upstream"]> };

export function httpListener(port: number, { upstream, ...options }: HttpOptions = {}): HttpListenerConfig {
  const common = listenerTo(port);
  return {
    ...common,
    protocol: "http",
    headers: [],
    auth: undefined,
    hostHeader: "endpoint",
    idleMs: 5_000,
    ...options,
    upstream: { ...common.upstream, ...upstream },
  };
}

/** Serves every connection to a free port with the protocol, against the listener's one endpoint. */
export async function serveHttp(
  scope: Scope,
  listener: HttpListenerConfig,
  parts: {
    readonly credentials?: Credentials;
    readonly log?: Logger;
    readonly session?: Partial<Session>;
    readonly readsAhead?: boolean;
  } = {},
): Promise<HttpServing> {
  const { credentials = fileCredentials, log = silentLogger } = parts;
  const protocol = httpProtocol(listener, { credentials, log });
  if (protocol.kind !== "socket") throw new Error("The protocol is served by sockets");
  const draining = new AbortController();
  const end = new AbortController();
  const facts: RequestFact[] = [];
  const failures: unknown[] = [];
  const sockets = new Set<Socket>();
  let [leases, connects, nextId] = [0, 0, 0];
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    const session: Session = {
      id: ++nextId,
      log,
      client: { address: "127.0.0.1", port: socket.remotePort ?? 0 },
      local: { address: "127.0.0.1", port: socket.localPort ?? 0 },
      draining: draining.signal,
      end: end.signal,
      connect: async (open) => {
        connects++;
        const target = targetOf(listener);
        const value = await open(target, AbortSignal.any([end.signal, AbortSignal.timeout(listener.upstream.connectMs)]), undefined);
        leases++;
        return { value, target, [Symbol.dispose]: () => void leases-- };
      },
      used: () => {},
      note: () => {},
      count: () => {},
      splice: async (client, upstream) => void (await splice(client, upstream).done),
      request: (fact) => void facts.push(fact),
      ...parts.session,
    };
    const serveOne = async (): Promise<void> => {
      try {
        if (parts.readsAhead === true) await readAhead(socket);
        await protocol.serve(socket, session);
      } catch (cause) {
        failures.push(cause);
        socket.destroy();
      }
      sockets.delete(socket);
    };
    void serveOne();
  });
  const port = await listening(server);
  scope.defer(async () => {
    end.abort(new Error("over"));
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    protocol.dispose?.();
  });
  return { port, facts, failures, draining, end, open: () => sockets.size, leases: () => leases, connects: () => connects };
}

/** A node:http server of a test's own. */
export async function httpUpstream(scope: Scope, handler: RequestListener): Promise<Server & { readonly port: number }> {
  const server = createHttpServer({ keepAliveTimeout: 60_000 }, handler);
  const port = await listening(server);
  scope.defer(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return Object.assign(server, { port });
}

/** A server that speaks bytes: `onConnection` gets each socket. */
export async function rawUpstream(scope: Scope, onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  scope.defer(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return await listening(server);
}

/** Answers each request that it has seen the head of with the same bytes. */
export async function scriptedUpstream(scope: Scope, answer: string | Buffer, options: { readonly afterwards?: "end" | "reset" } = {}) {
  return await rawUpstream(scope, (socket) => {
    let seen = "";
    socket.on("data", (chunk) => {
      seen += chunk.toString("latin1");
      if (!seen.includes("\r\n\r\n")) return;
      seen = "";
      socket.write(answer, () => {
        if (options.afterwards === "end") socket.end();
        if (options.afterwards === "reset") socket.resetAndDestroy();
      });
    });
  });
}

/** Sends bytes and gives what comes until the other side ends, or until `until` is seen. `half`: sends no more after them. */
export async function exchangeBytes(port: number, bytes: string | Buffer, until?: string | RegExp): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let got = "";
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on("data", (chunk) => {
    got += chunk.toString("latin1");
    if (until !== undefined && (typeof until === "string" ? got.includes(until) : until.test(got))) resolve();
  });
  socket.on("error", () => {});
  socket.once("close", resolve);
  socket.write(bytes, "latin1");
  await promise;
  socket.destroy();
  return got;
}

async function listening(server: {
  listen(port: number, host: string, done: () => void): unknown;
  address(): AddressInfo | string | null;
}): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("No port");
  return address.port;
}

/** Leaves a socket as the reader of a PROXY header does: paused, with what had come put back. */
async function readAhead(socket: Socket): Promise<void> {
  const wire = new Wire(socket);
  wire.unread(await wire.readSome(64));
  wire.release();
}
