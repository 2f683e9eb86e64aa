import { X509Certificate } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type Clock, contain, isErrno, type Logger, startTimer, untilAborted } from "@peapod/kit";
import { EngineError } from "../../errors.ts";
import type { NodeServer } from "../../kubelet/node-server.ts";
import { Connections } from "./connections.ts";
import { answer, type AnswerGround, answerUpgrade, type Extension } from "./answer.ts";
import type { HealthCheck } from "./health.ts";
import type { ObjectApi } from "../verbs/object-api.ts";
import { OpenApi } from "../discovery/openapi.ts";
import type { Pki } from "../pki/pki.ts";

export interface ServeOptions {
  readonly api: ObjectApi;
  readonly pki: Pki;
  readonly listen: { readonly host: string; readonly port: number };
  /** The node's logs and exec; without one they are refused. */
  readonly nodeServer?: NodeServer;
  readonly extensions?: readonly Extension[];
  /** What must be well for `/readyz`. */
  readonly checks?: readonly HealthCheck[];
  readonly clock: Clock;
  readonly log: Logger;
  /** Called once it listens, with the port it got. */
  readonly onListening?: (address: { host: string; port: number }) => void;
}

/** Connections that end by themselves get so long when the server stops. */
const STOP_WITHIN_MS = 500;
const KEEP_ALIVE_MS = 90_000;
const HANDSHAKE_MS = 10_000;

/**
 * Serves the Kubernetes API over HTTPS until the signal is aborted. Whoever shows no certificate of the engine's authority hears how the
 * engine is, and nothing else. Rejects when it cannot listen.
 */
export async function serve(options: ServeOptions, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { pki, listen, log } = options;
  const stop = new AbortController();
  const server = createServer({
    cert: pki.serverCert,
    key: pki.serverKey,
    ca: [pki.ca],
    requestCert: true,
    rejectUnauthorized: false, // `authorize` does
    minVersion: "TLSv1.2",
    ALPNProtocols: ["http/1.1"],
    handshakeTimeout: HANDSHAKE_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    noDelay: true,
  });
  const certificate = new X509Certificate(pki.serverCert);
  const connections = new Connections(server);
  const isOurName = (name: string): boolean => certificate.checkHost(name) !== undefined;
  const ground: AnswerGround = { ...options, openApi: new OpenApi(), connections, isOurName };
  const onBug = (cause: unknown, { socket, method, url }: IncomingMessage): void => {
    log.error("request met a bug", { method, url, error: cause });
    socket.destroy();
  };
  server.on(
    "request",
    contain(async (request: IncomingMessage, response: ServerResponse) => await answer(ground, request, response, stop.signal), onBug),
  );
  server.on(
    "upgrade",
    contain(
      async (request: IncomingMessage, socket: Duplex, head: Buffer) => await answerUpgrade(ground, request, socket, head, stop.signal),
      onBug,
    ),
  );
  server.on("tlsClientError", (error) => log.debug("connection refused", { error: error.message }));
  server.on("clientError", (_error, socket) => void socket.destroy());
  try {
    await listening(server, listen);
    const { port } = server.address() as AddressInfo; // a TCP server's
    options.onListening?.({ host: listen.host, port });
    log.info("API server listens", { host: listen.host, port });
    server.on("error", (error) => log.warn("API server cannot accept a connection", { error })); // out of descriptors, or memory
    await untilAborted(signal);
  } finally {
    stop.abort();
    await close(server, connections);
  }
}

async function listening(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).once("listening", resolve);
  server.listen({ host, port });
  try {
    await promise;
  } catch (cause) {
    const where = `${host}:${port}`;
    const hint = isErrno(cause, "EADDRINUSE")
      ? "another program has it: choose another with --listen"
      : "choose another address with --listen";
    throw new EngineError("LISTEN_FAILED", `Cannot listen on ${where}; ${hint}`, { cause });
  }
}

async function close(server: Server, connections: Connections): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = startTimer(() => connections.destroy(), STOP_WITHIN_MS);
  await closed;
  timer[Symbol.dispose]();
}
