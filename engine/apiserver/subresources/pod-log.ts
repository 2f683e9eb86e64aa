import {
  badRequest,
  type FieldError,
  invalidField,
  invalidStatus,
  methodNotAllowed,
  prohibitedField,
  serviceUnavailable,
} from "@peapod/api";
import { startTimer } from "@peapod/kit";
import type { NodeServer } from "../../kubelet/node-server.ts";
import { StatusError } from "../errors.ts";
import { type Exchange, writeChunk } from "../http/exchange.ts";
import { findContainer } from "./pod-container.ts";
import type { Query } from "../http/query.ts";
import type { ObjectRoute } from "../http/routes.ts";
import type { StreamGround } from "./stream.ts";

type LogOptions = Parameters<NodeServer["containerLogs"]>[1];

/** Answers `kubectl logs`: a container's log as plain text, as it comes. */
export async function handleLog(ground: StreamGround, route: ObjectRoute, exchange: Exchange): Promise<void> {
  if (exchange.method !== "GET") throw new StatusError(methodNotAllowed(route.resource, exchange.method.toLowerCase()));
  const { query, request, response, signal } = exchange;
  const options = readLogOptions(query, ground.clock.nowMs());
  const { pod, ...container } = findContainer(
    ground.api,
    { name: route.name ?? "", ...(route.namespace === undefined ? {} : { namespace: route.namespace }) },
    query.text("container"),
  );
  if ((pod.spec?.nodeName ?? "") === "")
    throw new StatusError(
      badRequest(`container "${container.containerName}" in pod "${pod.metadata.name}" is waiting to start: the pod has no node yet`),
    );
  if (ground.nodeServer === undefined) throw new StatusError(serviceUnavailable("this engine runs no node, so there are no logs"));
  const chunks = ground.nodeServer.containerLogs(container, options, signal)[Symbol.asyncIterator]();
  try {
    // A log that cannot be read says so on the first step, while an error can still be answered. One that is quiet is begun at once.
    const first = chunks.next();
    const early = options.follow ? await Promise.race([first, quiet(signal)]) : await first;
    response.writeHead(200, { "Content-Type": "text/plain", "Cache-Control": "no-cache, private", "Transfer-Encoding": "chunked" });
    response.flushHeaders();
    for (let step = early === "quiet" ? await first : early; step.done !== true && request.method !== "HEAD"; step = await chunks.next())
      await writeChunk(response, step.value, signal);
  } catch (cause) {
    if (!signal.aborted) throw cause;
  } finally {
    await chunks.return?.();
  }
  response.end();
}

const QUIET_MS = 100;

async function quiet(signal: AbortSignal): Promise<"quiet"> {
  const { promise, resolve } = Promise.withResolvers<"quiet">();
  const timer = startTimer(() => resolve("quiet"), QUIET_MS);
  const end = (): void => resolve("quiet");
  signal.addEventListener("abort", end, { once: true });
  try {
    return await promise;
  } finally {
    timer[Symbol.dispose]();
    signal.removeEventListener("abort", end);
  }
}

/** Reads PodLogOptions of a query. Throws 422 with upstream's words for values out of range. */
function readLogOptions(query: Query, nowMs: number): LogOptions {
  const lowest = Number.MIN_SAFE_INTEGER;
  const tailLines = query.integer("tailLines", lowest);
  const limitBytes = query.integer("limitBytes", lowest);
  const sinceSeconds = query.integer("sinceSeconds", lowest);
  const sinceTime = query.text("sinceTime");
  const stream = query.text("stream");
  const errors: FieldError[] = [];
  if (tailLines !== undefined && tailLines < 0) errors.push(invalidField("tailLines", tailLines, "must be greater than or equal to 0"));
  if (limitBytes !== undefined && limitBytes < 1) errors.push(invalidField("limitBytes", limitBytes, "must be greater than 0"));
  if (sinceSeconds !== undefined && sinceSeconds < 1) errors.push(invalidField("sinceSeconds", sinceSeconds, "must be greater than 0"));
  if (sinceSeconds !== undefined && sinceTime !== undefined)
    errors.push(prohibitedField("", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
  if (sinceTime !== undefined && Number.isNaN(Date.parse(sinceTime)))
    errors.push(invalidField("sinceTime", sinceTime, "must be an RFC 3339 time"));
  if (stream !== undefined && stream !== "All" && stream !== "Stdout" && stream !== "Stderr")
    errors.push(invalidField("stream", stream, "must be All, Stdout or Stderr"));
  if (tailLines !== undefined && stream !== undefined && stream !== "All")
    errors.push(prohibitedField("", "`tailLines` and specific `stream` are mutually exclusive for now"));
  if (errors.length > 0) throw new StatusError(invalidStatus({ group: "", kind: "PodLogOptions" }, "", errors));
  const sinceTimeMs =
    sinceSeconds !== undefined ? nowMs - sinceSeconds * 1_000 : sinceTime === undefined ? undefined : Date.parse(sinceTime);
  return {
    follow: query.flag("follow"),
    previous: query.flag("previous"),
    timestamps: query.flag("timestamps"),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(sinceTimeMs === undefined ? {} : { sinceTimeMs }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(stream === "All" || stream === "Stdout" || stream === "Stderr" ? { stream } : {}),
  };
}
