import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { badRequest, type Status } from "@peapod/api";
import type { Logger } from "@peapod/kit";
import { noSuchPath, reportedStatus, StatusError } from "../errors.ts";
import { streamOf } from "../subresources/streams.ts";
import { accessOf, authorize } from "./authorization.ts";
import type { Connections } from "./connections.ts";
import { type ApiGround, dispatch } from "./dispatch.ts";
import { type Call, type Exchange, sendStatus } from "./exchange.ts";
import { refuseForeignPage } from "./foreign-page.ts";
import { handleHealth, type HealthCheck } from "./health.ts";
import { Query } from "./query.ts";
import { parseRoute, type Route } from "./routes.ts";
import { isKnown } from "./user.ts";

/** A path of the engine's own on the same server, with the same authentication. */
export interface Extension {
  /** Such as `/peapod.dev/v1/`. */
  readonly prefix: string;
  /** Answers the request. What it throws is answered as a Status, if nothing was yet. */
  handle(exchange: Exchange): Promise<void> | void;
}

/** What every request is answered from. */
export interface AnswerGround extends ApiGround {
  readonly log: Logger;
  readonly connections: Connections;
  readonly isOurName: (name: string) => boolean;
  readonly extensions?: readonly Extension[];
  /** What must be well for `/readyz`. */
  readonly checks?: readonly HealthCheck[];
}

/** Answers a request; what goes wrong is answered as a Status. */
export async function answer(ground: AnswerGround, request: IncomingMessage, response: ServerResponse, stop: AbortSignal): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  response.on("error", () => {}); // a client that goes away is no event of ours
  const context = contextOf(ground, request, AbortSignal.any([gone.signal, stop]));
  if (!isKnown(context.user)) response.setHeader("Connection", "close"); // whatever else is coming is not read
  try {
    const exchange: Exchange = { ...callOf(context), response };
    const route = parseRoute(exchange.path);
    admit(ground, route, exchange);
    if (route.kind === "health") return handleHealth(route, ground.checks ?? [], exchange);
    const extension = ground.extensions?.find(({ prefix }) => exchange.path.startsWith(prefix));
    await (extension === undefined ? dispatch(ground, route, exchange) : extension.handle(exchange));
  } catch (cause) {
    const status = reportedStatus(cause, context);
    if (response.headersSent) response.destroy();
    else await sendStatus(response, status);
  }
}

/** Takes a connection over for what its path leads to; what goes wrong before is answered as a Status. */
export async function answerUpgrade(
  ground: AnswerGround,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  stop: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  socket.once("close", () => gone.abort());
  socket.on("error", () => {}); // as for requests
  const context = contextOf(ground, request, AbortSignal.any([gone.signal, stop]));
  try {
    const call = callOf(context);
    const route = parseRoute(call.path);
    admit(ground, route, call);
    const stream = route.kind === "objects" ? streamOf(route) : undefined;
    if (route.kind !== "objects" || stream?.upgrade === undefined) throw noSuchPath();
    await stream.upgrade(ground, route, { ...call, socket, head });
  } catch (cause) {
    refuseUpgrade(socket, reportedStatus(cause, context));
  }
}

/** What is known of a request before it is read. */
type Context = Pick<Call, "request" | "user" | "log" | "signal">;

function contextOf({ connections, log }: AnswerGround, request: IncomingMessage, signal: AbortSignal): Context {
  return { request, user: connections.userOf(request.socket), log, signal };
}

/** Throws 400 for what is no path, such as `//[`. */
function callOf(context: Context): Call {
  const { url: target = "/", method = "GET" } = context.request;
  const url = URL.parse(target, "https://localhost");
  if (url === null) throw new StatusError(badRequest("the request's target is no path"));
  const query = new Query(url.searchParams);
  return { ...context, method: method === "HEAD" ? "GET" : method, path: url.pathname, query }; // the server leaves a HEAD's body out
}

/** Throws 401 for who may not ask this, and 403 for a page of another site in the browser of somebody who may. */
function admit({ isOurName }: AnswerGround, route: Route, { request, method, path, query, user }: Call): void {
  authorize(user, accessOf(route, method, path, query.mayBeSet("watch")));
  if (route.kind !== "health") refuseForeignPage(request, isOurName);
}

function refuseUpgrade(socket: Duplex, status: Status): void {
  const body = JSON.stringify(status);
  const headers = ["Content-Type: application/json", `Content-Length: ${Buffer.byteLength(body)}`, "Connection: close"];
  socket.end(`HTTP/1.1 ${status.code ?? 500} Refused\r\n${headers.join("\r\n")}\r\n\r\n${body}`);
}
