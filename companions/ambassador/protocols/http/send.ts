import { type ClientRequest, type IncomingMessage, request as requestPlain } from "node:http";
import { Socket } from "node:net";
import { AmbassadorError } from "../../errors.ts";
import { Wire } from "../../flow/wire.ts";
import type { Exchange } from "./exchange.ts";
import { trailersOf } from "./fields.ts";
import type { RequestPlan } from "./request-head.ts";
import { informationalHead } from "./response-head.ts";
import type { UpstreamConnection } from "./upstream-connection.ts";

/** Header lines of a request or an answer, in all. More than nginx and HAProxy take. */
export const MAX_HEAD_BYTES = 64 * 1024;
/** Answers before the answer: an upstream that sends more will never come to it. */
const MAX_INFORMATIONAL = 32;

/** What an upstream says to a request. */
export type Answer =
  | { readonly kind: "response"; readonly message: IncomingMessage }
  | { readonly kind: "upgrade"; readonly message: IncomingMessage; readonly wire: Wire };

/** Sends a request on a connection, its body as it comes. `answer` rejects with UPSTREAM_PROTOCOL, or the reason for which `outgoing` was destroyed. */
export function send(
  exchange: Exchange,
  plan: RequestPlan,
  fields: readonly string[],
  connection: UpstreamConnection,
  isOwned: (name: string) => boolean,
): { readonly outgoing: ClientRequest; readonly answer: Promise<Answer> } {
  const { socket } = connection;
  const outgoing = requestPlain({
    method: plan.method,
    path: plan.path,
    headers: fields,
    createConnection: () => socket,
    maxHeaderSize: MAX_HEAD_BYTES,
    insecureHTTPParser: false,
  });
  outgoing.maxHeadersCount = 0; // as many as the size allows: node:http would drop the others without a word
  outgoing.shouldKeepAlive = plan.upgrade === undefined;
  const answer = answerTo(outgoing);
  outgoing.once("response", (message) => socket.once("free", () => connection.keep(message.headers["keep-alive"]?.toString())));
  passInformation(outgoing, exchange, plan);
  sendBody(outgoing, exchange, plan, isOwned);
  return { outgoing, answer };
}

async function answerTo(outgoing: ClientRequest): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  outgoing.once("response", (message) => {
    message.on("error", () => {}); // whoever relays it sees that it is not complete
    resolve({ kind: "response", message });
  });
  outgoing.once("upgrade", (message, socket, head) => {
    if (!(socket instanceof Socket)) throw new Error("The upstream's connection is no socket");
    socket.allowHalfOpen = true;
    const wire = new Wire(socket); // at once: the upstream's end must not go unseen
    wire.unread(head);
    resolve({ kind: "upgrade", message, wire });
  });
  outgoing.on("error", (cause) => reject(errorOf(cause)));
  outgoing.once("close", () => reject(new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream ended without an answer")));
  return await promise;
}

function errorOf(cause: Error): AmbassadorError {
  if (cause instanceof AmbassadorError) return cause;
  const code = "code" in cause ? String(cause.code) : cause.message;
  const reason = code.startsWith("HPE_") ? `sends no valid answer (${code})` : `ended before its answer (${code})`;
  return new AmbassadorError("UPSTREAM_PROTOCOL", `The upstream ${reason}`, { cause });
}

function passInformation(outgoing: ClientRequest, { request, response, socket }: Exchange, plan: RequestPlan): void {
  let count = 0;
  outgoing.once("continue", () => {
    if (plan.expectsContinue && !response.headersSent) response.writeContinue();
  });
  outgoing.on("information", (info) => {
    if (++count === MAX_INFORMATIONAL) outgoing.destroy(new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream never comes to its answer"));
    if (count >= MAX_INFORMATIONAL || info.statusCode === 100 || request.httpVersion !== "1.1" || response.headersSent) return;
    socket.write(informationalHead(info), "latin1"); // the answers before it are out: requests of a connection are served in turn
  });
}

function sendBody(outgoing: ClientRequest, { request }: Exchange, plan: RequestPlan, isOwned: (name: string) => boolean): void {
  if (plan.body === "none") {
    outgoing.end();
    return;
  }
  if (plan.expectsContinue || request.readableLength === 0) outgoing.flushHeaders();
  request.once("end", () => {
    if (outgoing.destroyed) return;
    if (plan.body === "chunked") outgoing.addTrailers(trailersOf(request.rawTrailers, isOwned));
    outgoing.end();
  });
  request.pipe(outgoing, { end: false });
}
