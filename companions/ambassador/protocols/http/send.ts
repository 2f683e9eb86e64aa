import { type ClientRequest, type IncomingMessage, type InformationEvent, request as requestPlain } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { contain } from "@peapod/kit";
import { AmbassadorError } from "../../errors.ts";
import { Wire } from "../../flow/wire.ts";
import type { Exchange } from "./exchange-state.ts";
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
  const onUpgrade = (message: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (!(socket instanceof Socket)) throw new Error("The upstream's connection is no socket");
    socket.allowHalfOpen = true;
    const wire = new Wire(socket); // at once: the upstream's end must not go unseen
    wire.unread(head);
    resolve({ kind: "upgrade", message, wire });
  };
  outgoing.once("upgrade", contain(onUpgrade, breakingOff(outgoing)));
  outgoing.on("error", (cause) => reject(errorOf(cause)));
  outgoing.once("close", () => reject(new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream ended without an answer")));
  return await promise;
}

/** What cannot be done with what the upstream or the client sent ends the exchange. */
function breakingOff(outgoing: ClientRequest): (cause: unknown) => void {
  return (cause) => void outgoing.destroy(cause instanceof Error ? cause : new Error(String(cause)));
}

function errorOf(cause: Error): AmbassadorError {
  if (cause instanceof AmbassadorError) return cause;
  const code = "code" in cause ? String(cause.code) : cause.message;
  const reason = code.startsWith("HPE_") ? `sends no valid answer (${code})` : `ended before its answer (${code})`;
  return new AmbassadorError("UPSTREAM_PROTOCOL", `The upstream ${reason}`, { cause });
}

function passInformation(outgoing: ClientRequest, { request, response, socket }: Exchange, plan: RequestPlan): void {
  let count = 0;
  const onContinue = (): void => {
    if (plan.expectsContinue && !response.headersSent) response.writeContinue();
  };
  const onInformation = (info: InformationEvent): void => {
    if (++count === MAX_INFORMATIONAL) outgoing.destroy(new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream never comes to its answer"));
    if (count >= MAX_INFORMATIONAL || info.statusCode === 100 || request.httpVersion !== "1.1" || response.headersSent) return;
    socket.write(informationalHead(info), "latin1"); // the answers before it are out: requests of a connection are served in turn
  };
  outgoing.once("continue", contain(onContinue, breakingOff(outgoing)));
  outgoing.on("information", contain(onInformation, breakingOff(outgoing)));
}

function sendBody(outgoing: ClientRequest, { request }: Exchange, plan: RequestPlan, isOwned: (name: string) => boolean): void {
  if (plan.body === "none") {
    outgoing.end();
    return;
  }
  if (plan.expectsContinue || request.readableLength === 0) outgoing.flushHeaders();
  const onEnd = (): void => {
    if (outgoing.destroyed) return;
    if (plan.body === "chunked") outgoing.addTrailers(trailersOf(request.rawTrailers, isOwned));
    outgoing.end();
  };
  request.once("end", contain(onEnd, breakingOff(outgoing)));
  request.pipe(outgoing, { end: false });
}
