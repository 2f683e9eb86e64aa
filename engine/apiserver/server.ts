import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { badRequest, methodNotAllowed } from "@peapod/api";
import { type Clock, contain, isErrno, type Logger, startTimer, untilSignal } from "@peapod/kit";
import { EngineError } from "../errors.ts";
import type { NodeServer } from "../kubelet/node-server.ts";
import { aggregated, coreVersions, groupList, groupOf, resourceList } from "./discovery.ts";
import { isOurs, noSuchPath, StatusError, statusOf } from "./errors.ts";
import { type Exchange, sendJson, sendStatus, sendText } from "./exchange.ts";
import { negotiate } from "./negotiation.ts";
import type { ObjectApi } from "./object-api.ts";
import { handleObjects } from "./object-handler.ts";
import { OpenApi, type OpenApiDocument } from "./openapi.ts";
import type { Pki } from "./pki.ts";
import { handleExecUpgrade, refusePlainExec } from "./pod-exec.ts";
import { handleLog } from "./pod-log.ts";
import { Query } from "./query.ts";
import { parseRoute, type Route } from "./routes.ts";
import { versionInfo } from "./version.ts";

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
  readonly clock: Clock;
  readonly log: Logger;
  /** Called once it listens, with the port it got. */
  readonly onListening?: (address: { host: string; port: number }) => void;
}

interface Ground extends ServeOptions {
  readonly openApi: OpenApi;
}

/** Connections that end by themselves get so long when the server stops. */
const STOP_WITHIN_MS = 500;
const KEEP_ALIVE_MS = 90_000;
const HANDSHAKE_MS = 10_000;
const MAX_CONNECTIONS = 1_024;

/**
 * Serves the Kubernetes API over HTTPS until the signal is aborted; answers nobody without a certificate of the engine's authority.
 * Rejects when it cannot listen.
 */
export async function serve(options: ServeOptions, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { pki, listen, log } = options;
  const stop = new AbortController();
  const ground: Ground = { ...options, openApi: new OpenApi() };
  const server = createServer({
    cert: pki.serverCert,
    key: pki.serverKey,
    ca: [pki.ca],
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    ALPNProtocols: ["http/1.1"],
    handshakeTimeout: HANDSHAKE_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    noDelay: true,
  });
  server.maxConnections = MAX_CONNECTIONS;
  const sockets = new Set<Socket>(); // also those that never finished a handshake, or became WebSockets
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
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
    await close(server, sockets);
  }
}

async function answer(options: Ground, request: IncomingMessage, response: ServerResponse, stop: AbortSignal): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  response.on("error", () => {}); // a client that goes away is no event of ours
  try {
    const url = urlOf(request);
    const exchange: Exchange = {
      request,
      response,
      method: request.method ?? "GET",
      query: new Query(url.searchParams),
      signal: AbortSignal.any([gone.signal, stop]),
    };
    const extension = options.extensions?.find(({ prefix }) => url.pathname.startsWith(prefix));
    if (extension !== undefined) await extension.handle(request, response);
    else await dispatch(options, parseRoute(url.pathname), exchange);
  } catch (cause) {
    fail(options.log, request, response, cause);
  }
}

/** Throws 400 for what is no path, such as `//[`. */
function urlOf({ url = "/" }: IncomingMessage): URL {
  const parsed = URL.parse(url, "https://localhost");
  if (parsed === null) throw new StatusError(badRequest("the request's target is no path"));
  return parsed;
}

function fail(log: Logger, request: IncomingMessage, response: ServerResponse, cause: unknown): void {
  const status = statusOf(cause);
  if (isOurs(status) && !response.destroyed) log.error("request failed", { method: request.method, url: request.url, error: cause });
  if (response.headersSent) response.destroy();
  else sendStatus(response, status);
}

async function dispatch(options: Ground, route: Route, exchange: Exchange): Promise<void> {
  if (route.kind === "objects") {
    if (route.resource.kind === "Pod" && route.subresource === "log") return await handleLog(options, route, exchange);
    if (route.resource.kind === "Pod" && route.subresource === "exec") return refusePlainExec();
    return await handleObjects(options, route, exchange);
  }
  if (route.kind === "unknown") throw noSuchPath();
  if (route.kind === "access-review" && exchange.method === "POST") return sendJson(exchange.response, 201, accessReview());
  if (exchange.method !== "GET" && exchange.method !== "HEAD")
    throw new StatusError(methodNotAllowed({ group: "", plural: route.kind }, exchange.method.toLowerCase()));
  const { request, response } = exchange;
  const discovery = (core: boolean, legacy: () => unknown): void => {
    const form = negotiate(request.headers.accept, ["APIGroupDiscoveryList"]);
    if (form.as === "APIGroupDiscoveryList") sendJson(response, 200, aggregated(core), { "Content-Type": form.mediaType, Vary: "Accept" });
    else sendJson(response, 200, legacy(), { Vary: "Accept" });
  };
  switch (route.kind) {
    case "text":
      return sendText(response, 200, route.text);
    case "version":
      return sendJson(response, 200, versionInfo());
    case "root":
      return sendJson(response, 200, {
        paths: [
          "/api",
          "/api/v1",
          "/apis",
          "/apis/coordination.k8s.io/v1",
          "/healthz",
          "/livez",
          "/openapi/v2",
          "/openapi/v3",
          "/readyz",
          "/version",
        ],
      });
    case "core-versions":
      return discovery(true, coreVersions);
    case "groups":
      return discovery(false, groupList);
    case "group":
      return sendJson(response, 200, groupOf(route.group));
    case "resources":
      return sendJson(response, 200, resourceList(route.groupVersion));
    case "custom-resources":
      return sendJson(response, 200, noCustomResources());
    case "openapi-v2":
      return sendOpenApiV2(exchange, options.openApi);
    case "openapi-index":
      return sendJson(response, 200, options.openApi.index());
    case "openapi":
      return sendOpenApi(exchange, options.openApi.document(route.groupVersion));
    case "access-review":
      throw noSuchPath();
  }
}

/** Whoever has a certificate may do everything. */
function accessReview(): unknown {
  return { kind: "SelfSubjectAccessReview", apiVersion: "authorization.k8s.io/v1", metadata: {}, spec: {}, status: { allowed: true } };
}

/** There are none. kubectl asks when OpenAPI does not have a kind, as for a `kind: PodList`, and goes on only with an answer. */
function noCustomResources(): unknown {
  return { kind: "CustomResourceDefinitionList", apiVersion: "apiextensions.k8s.io/v1", metadata: {}, items: [] };
}

/** The types that clients ask for it by, the older first. */
const openApiProtobufTypes = [
  "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
  "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
];

function sendOpenApiV2(exchange: Exchange, openApi: OpenApi): void {
  const { accept } = exchange.request.headers;
  if (openApiProtobufTypes.some((type) => accept?.includes(type) === true))
    return sendOpenApi(exchange, openApi.v2("protobuf"), "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
  negotiate(accept, []);
  sendOpenApi(exchange, openApi.v2("json"));
}

function sendOpenApi({ request, response }: Exchange, { body, etag }: OpenApiDocument, mediaType = "application/json"): void {
  if (request.headers["if-none-match"] === etag) {
    response.writeHead(304, { ETag: etag });
    response.end();
    return;
  }
  response.writeHead(200, { "Content-Type": mediaType, "Content-Length": body.length, ETag: etag, Vary: "Accept" });
  response.end(body);
}

async function upgrade(options: Ground, request: IncomingMessage, socket: Duplex, head: Buffer, stop: AbortSignal): Promise<void> {
  socket.on("error", () => {}); // as for requests
  try {
    const url = urlOf(request);
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

async function close(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = startTimer(() => {
    for (const socket of sockets) socket.destroy();
  }, STOP_WITHIN_MS);
  await closed;
  timer[Symbol.dispose]();
}
