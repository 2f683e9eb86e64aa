import { X509Certificate } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { badRequest, unauthorized } from "@peapod/api";
import { type Clock, contain, isErrno, type Logger, startTimer, untilSignal } from "@peapod/kit";
import { EngineError } from "../../errors.ts";
import type { NodeServer } from "../../kubelet/node-server.ts";
import { Connections } from "./connections.ts";
import { dispatch } from "./dispatch.ts";
import { isOurs, noSuchPath, StatusError, statusOf } from "../errors.ts";
import { type Exchange, sendStatus } from "./exchange.ts";
import { refuseForeignPage } from "./foreign-page.ts";
import { handleHealth, type HealthCheck } from "./health.ts";
import type { ObjectApi } from "../verbs/object-api.ts";
import { OpenApi } from "../discovery/openapi.ts";
import type { Pki } from "../pki/pki.ts";
import { handleExecUpgrade } from "../subresources/pod-exec.ts";
import { Query } from "./query.ts";
import { parseRoute } from "./routes.ts";

/** A path of the engine's own on the same server, with the same authentication. */
export interface Extension {
  /** Such as `/peapod.dev/v1/`. */
  readonly prefix: string;
  /** Answers the request. What it throws is answered as a Status, if nothing was yet. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void> | void;
}

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

interface Ground extends ServeOptions {
  readonly openApi: OpenApi;
  readonly connections: Connections;
  readonly isOurName: (name: string) => boolean;
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
    rejectUnauthorized: false, // `isKnown` tells
    minVersion: "TLSv1.2",
    ALPNProtocols: ["http/1.1"],
    handshakeTimeout: HANDSHAKE_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    noDelay: true,
  });
  const certificate = new X509Certificate(pki.serverCert);
  const connections = new Connections(server);
  const isOurName = (name: string): boolean => certificate.checkHost(name) !== undefined;
  const ground: Ground = { ...options, openApi: new OpenApi(), connections, isOurName };
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
      async (request: IncomingMessage, socket: Duplex, head: Buffer) => await upgrade(ground, request, socket, head, stop.signal),
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
    await untilSignal([], signal);
  } finally {
    stop.abort();
    await close(server, connections);
  }
}

async function answer(options: Ground, request: IncomingMessage, response: ServerResponse, stop: AbortSignal): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  response.on("error", () => {}); // a client that goes away is no event of ours
  const isKnown = options.connections.isKnown(request.socket);
  if (!isKnown) response.setHeader("Connection", "close"); // whatever else is coming is not read
  try {
    const url = urlOf(request);
    const exchange: Exchange = {
      request,
      response,
      method: request.method === "HEAD" ? "GET" : (request.method ?? "GET"), // the server leaves the body out
      query: new Query(url.searchParams),
      signal: AbortSignal.any([gone.signal, stop]),
    };
    const route = parseRoute(url.pathname);
    if (route.kind === "health") return handleHealth(route, options.checks ?? [], exchange, isKnown);
    checkCaller(options, request);
    const extension = options.extensions?.find(({ prefix }) => url.pathname.startsWith(prefix));
    if (extension !== undefined) await extension.handle(request, response);
    else await dispatch(options, route, exchange);
  } catch (cause) {
    await fail(options.log, request, response, cause);
  }
}

/** Throws 401 for who is not known, and 403 for a page of another site in the browser of somebody who is. */
function checkCaller({ connections, isOurName }: Ground, request: IncomingMessage): void {
  if (!connections.isKnown(request.socket)) throw new StatusError(unauthorized());
  refuseForeignPage(request, isOurName);
}

/** Throws 400 for what is no path, such as `//[`. */
function urlOf({ url = "/" }: IncomingMessage): URL {
  const parsed = URL.parse(url, "https://localhost");
  if (parsed === null) throw new StatusError(badRequest("the request's target is no path"));
  return parsed;
}

async function fail(log: Logger, request: IncomingMessage, response: ServerResponse, cause: unknown): Promise<void> {
  const status = statusOf(cause);
  if (isOurs(status) && !response.destroyed) log.error("request failed", { method: request.method, url: request.url, error: cause });
  if (response.headersSent) response.destroy();
  else await sendStatus(response, status);
}

async function upgrade(options: Ground, request: IncomingMessage, socket: Duplex, head: Buffer, stop: AbortSignal): Promise<void> {
  socket.on("error", () => {}); // as for requests
  try {
    const url = urlOf(request);
    checkCaller(options, request);
    const route = parseRoute(url.pathname);
    if (route.kind !== "objects" || route.resource.kind !== "Pod" || route.subresource !== "exec") throw noSuchPath();
    await handleExecUpgrade(options, route, { request, socket, head, query: new Query(url.searchParams), stop });
  } catch (cause) {
    const status = statusOf(cause);
    if (isOurs(status)) options.log.error("upgrade failed", { url: request.url, error: cause });
    const body = JSON.stringify(status);
    socket.end(
      `HTTP/1.1 ${status.code ?? 500} Refused\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
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
