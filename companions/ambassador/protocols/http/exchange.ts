import type { IncomingMessage } from "node:http";
import { AmbassadorError } from "../../errors.ts";
import { sentFields } from "./sent-fields.ts";
import type { Lease, Target } from "../../upstream/upstream.ts";
import type { Session } from "../protocol.ts";
import type { Exchange, Progress } from "./exchange-state.ts";
import type { Injected, Injection } from "./injection.ts";
import { problemOf, respondWith } from "./problem.ts";
import { relay } from "./relay.ts";
import { planRequest, type RequestPlan } from "./request-head.ts";
import { type Answer, send } from "./send.ts";
import { tunnel } from "./tunnel.ts";
import type { Opener, UpstreamConnection } from "./upstream-connection.ts";

/** What an exchange needs of its listener. */
export interface ExchangeParts {
  readonly injection: Injection;
  readonly opener: Opener;
  /** What the Host field says upstream. */
  readonly hostOf: (endpoint: { readonly host: string; readonly port: number | undefined }, authority: string | undefined) => string;
  /** The PROXY protocol's header for this client; undefined: none, and connections serve any client. */
  readonly preambleOf: ((session: Session) => Uint8Array) | undefined;
}

/** Serves one request from its head to the end of its answer. Failures are told to the client, and noted in `progress`; it throws only for bugs. */
export async function serveExchange(exchange: Exchange, parts: ExchangeParts, progress: Progress): Promise<void> {
  const { session, response, socket, request } = exchange;
  const onGone = (): void => {
    if (!response.writableFinished) fail(progress, new AmbassadorError("CLIENT_GONE", "The client went away"));
  };
  response.once("close", onGone);
  request.on("error", () => {}); // the response hears of it too
  try {
    if (progress.failure !== undefined) throw progress.failure;
    if (session.end.aborted) throw new AmbassadorError("DRAINING", "The ambassador is shutting down");
    session.admit?.();
    const plan = planRequest(headOf(request), parts.injection.isOwned);
    await tryToServe(exchange, plan, parts, progress);
  } catch (cause) {
    const isOurs = cause instanceof AmbassadorError || session.end.aborted;
    if (!isOurs) {
      socket.destroy();
      throw cause;
    }
    const error = cause instanceof AmbassadorError ? cause : new AmbassadorError("DRAINING", "The ambassador is shutting down", { cause });
    progress.failure ??= error;
    await tell(exchange, progress.failure);
  }
}

/** Ends what goes on upstream, for a reason. Safe to repeat. */
export function fail(progress: Progress, reason: AmbassadorError): void {
  progress.failure ??= reason;
  progress.outgoing?.destroy(reason);
}

async function tell({ response, socket, request }: Exchange, error: AmbassadorError): Promise<void> {
  if (response.headersSent || response.destroyed || socket.destroyed) {
    socket.destroy();
    return;
  }
  request.unpipe();
  const { promise, resolve } = Promise.withResolvers<void>();
  response.once("finish", resolve).once("close", resolve);
  respondWith(problemOf(error), response);
  await promise;
}

async function tryToServe(exchange: Exchange, plan: RequestPlan, parts: ExchangeParts, progress: Progress): Promise<void> {
  const { session } = exchange;
  const preamble = parts.preambleOf?.(session);
  const owner = preamble === undefined ? "" : `${session.id}`;
  let mayUseKept: "any" | "fresh" | "none" = plan.isReplayable ? "any" : "fresh";
  let mayRenew = plan.isReplayable;
  for (;;) {
    const injected = await parts.injection.fields(session.end);
    using lease = await session.connect(parts.opener.open({ mayUseKept, owner, preamble }), { isJudgedLater: true });
    const connection = lease.value;
    progress.endpoint = lease.target.endpoint;
    if (progress.failure !== undefined) {
      connection.keep(undefined);
      throw progress.failure;
    }
    const { address, host } = lease.target;
    const hostValue = parts.hostOf({ host, port: address.kind === "tcp" ? address.port : undefined }, plan.authority);
    const fields = sentFields(plan, hostValue, injected.fields);
    const answer = await ask(exchange, plan, fields, lease, parts, progress);
    if (answer === "stale") {
      mayUseKept = "none";
      continue;
    }
    lease.judge?.(verdictOn(answer, lease.target));
    if (isRefused(answer, injected, parts.injection) && mayRenew) {
      connection.destroy();
      mayRenew = false;
      continue;
    }
    await pass(exchange, plan, answer, connection, progress);
    return;
  }
}

/** Sends, and waits for the answer's head. A kept connection that ended before it said anything is `stale` where nothing was lost by it. */
async function ask(
  exchange: Exchange,
  plan: RequestPlan,
  fields: readonly string[],
  lease: Lease<UpstreamConnection>,
  { injection }: ExchangeParts,
  progress: Progress,
): Promise<Answer | "stale"> {
  const connection = lease.value;
  const { outgoing, answer } = send(exchange, plan, fields, connection, injection.isOwned);
  progress.outgoing = outgoing;
  const readBefore = connection.socket.bytesRead;
  try {
    return await answer;
  } catch (cause) {
    const isStale = progress.failure === undefined && connection.isReused && connection.socket.bytesRead === readBefore;
    connection.destroy();
    if (isStale && plan.isReplayable) return "stale";
    const failure = progress.failure ?? cause;
    if (!isStale && failure instanceof AmbassadorError) lease.judge?.(failure); // that a kept one was ended is no fault
    throw failure;
  }
}

/** What an answer says of the endpoint. These three are how a server, or a proxy before it, says that it does not serve now. */
function verdictOn({ message }: Answer, { endpoint }: Target): "well" | AmbassadorError {
  const { statusCode } = message;
  if (statusCode !== 502 && statusCode !== 503 && statusCode !== 504) return "well";
  return new AmbassadorError("UPSTREAM_BUSY", `${endpoint} answers ${statusCode}`);
}

function isRefused(answer: Answer, injected: Injected, injection: Injection): boolean {
  return answer.kind === "response" && answer.message.statusCode === 401 && injection.refused(injected);
}

async function pass(
  exchange: Exchange,
  plan: RequestPlan,
  answer: Answer,
  connection: UpstreamConnection,
  progress: Progress,
): Promise<void> {
  if (answer.kind === "response") {
    await relay(exchange, plan, answer.message, connection, progress);
    return;
  }
  if (exchange.wire === undefined) {
    connection.destroy();
    throw new AmbassadorError("UPSTREAM_PROTOCOL", "The upstream changes the protocol, which nobody asked for");
  }
  progress.isTunnel = true;
  progress.onTunnel();
  await tunnel(exchange, exchange.wire, answer);
}

function headOf({ method = "", url = "", httpVersion, rawHeaders }: IncomingMessage): {
  method: string;
  url: string;
  httpVersion: string;
  rawHeaders: string[];
} {
  return { method, url, httpVersion, rawHeaders };
}
