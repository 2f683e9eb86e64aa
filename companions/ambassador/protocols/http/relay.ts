import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import { contain } from "@peapod/kit";
import { AmbassadorError } from "../../errors.ts";
import type { Exchange, Progress } from "./exchange-state.ts";
import { trailersOf } from "./fields.ts";
import type { RequestPlan } from "./request-head.ts";
import { planResponse, type ResponseHead } from "./response-head.ts";
import type { UpstreamConnection } from "./upstream-connection.ts";

/**
 * Passes an answer on, its body as it comes and as fast as the client takes it. An answer that breaks off ends the client's connection:
 * what it got must not look like the whole. Throws UPSTREAM_PROTOCOL for an answer that cannot be passed on.
 */
export async function relay(
  exchange: Exchange,
  plan: RequestPlan,
  answer: IncomingMessage,
  connection: UpstreamConnection,
  progress: Progress,
): Promise<void> {
  const { request, response, socket, session } = exchange;
  const { isChunked } = begin(exchange, plan, answer, connection);
  if (answer.readableLength === 0 && !answer.complete) response.flushHeaders();
  const { promise, resolve } = Promise.withResolvers<void>();
  const onEnd = (): void => {
    if (!answer.complete) return;
    if (isChunked) response.addTrailers(trailersOf(answer.rawTrailers, () => false));
    response.end();
  };
  const onBug = (cause: unknown): void => {
    progress.failure ??= new AmbassadorError("UPSTREAM_PROTOCOL", "The end of the upstream's answer cannot be passed on", { cause });
    socket.destroy();
  };
  answer.once("end", contain(onEnd, onBug));
  answer.once("close", () => {
    if (answer.complete || response.writableEnded) return;
    progress.failure ??= new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream ended in the middle of its answer");
    // An answer that ends with its connection would look whole after an orderly end.
    if (request.httpVersion === "1.1" || socket instanceof TLSSocket || socket.remoteAddress === undefined) socket.destroy();
    else socket.resetAndDestroy();
  });
  response.once("finish", resolve).once("close", resolve);
  answer.pipe(response, { end: false });
  await promise;
  if (!request.complete || !answer.complete) {
    request.unpipe();
    connection.destroy(); // half of a request was sent on it
  }
  if (session.end.aborted) socket.end();
}

function begin({ request, response, session }: Exchange, plan: RequestPlan, answer: IncomingMessage, connection: UpstreamConnection) {
  try {
    const planned = planResponse(headOf(answer), { method: plan.method, httpVersion: request.httpVersion });
    response.sendDate = false; // the upstream's, or none
    if (session.draining.aborted) response.shouldKeepAlive = false;
    response.writeHead(planned.status, planned.message, [...planned.fields]);
    return planned;
  } catch (cause) {
    connection.destroy();
    if (cause instanceof AmbassadorError) throw cause;
    throw new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream's answer cannot be passed on", { cause });
  }
}

function headOf({ statusCode = 0, statusMessage = "", rawHeaders }: IncomingMessage): ResponseHead {
  return { statusCode, statusMessage, rawHeaders };
}
