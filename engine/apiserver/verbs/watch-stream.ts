import type { Resource } from "@peapod/api";
import { type Clock, startTimer } from "@peapod/kit";
import { reportedStatus } from "../errors.ts";
import { type Exchange, writeChunk } from "../http/exchange.ts";
import { type Form, negotiate } from "../encodings/negotiation.ts";
import type { ObjectApi } from "./object-api.ts";
import { type IncludeObject, toPartial, toTable } from "../encodings/table.ts";
import type { WatchEvent, WatchRequest } from "./watching.ts";

export interface WatchStream {
  readonly api: ObjectApi;
  readonly clock: Clock;
  readonly resource: Resource;
  readonly request: WatchRequest;
  readonly include: IncludeObject;
}

/** Upstream ends a watch that says nothing of time within an hour; clients begin it anew. */
const LONGEST_SECONDS = 3_600;

/**
 * Answers with a resource's changes, a line of JSON each, until the time is up, the client is gone or the server stops. A client that falls
 * too far behind is told 410 as its last event; one that does not read is cut off.
 */
export async function streamWatch(watch: WatchStream, exchange: Exchange): Promise<void> {
  const { response, query, request } = exchange;
  const form = negotiate(request.headers.accept, ["Table", "PartialObjectMetadata"], ["application/json"]);
  const seconds = Math.min(query.integer("timeoutSeconds") ?? LONGEST_SECONDS, LONGEST_SECONDS);
  const timeout = new AbortController();
  const timer = startTimer(() => timeout.abort(), (seconds === 0 ? LONGEST_SECONDS : seconds) * 1_000);
  const signal = AbortSignal.any([exchange.signal, timeout.signal]);
  try {
    const onBehind = (): void => {
      if (response.writableNeedDrain) response.destroy();
    };
    const events = watch.api.watch(watch.resource, { ...watch.request, onBehind }, signal); // throws before anything is answered
    response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-cache, private", "Transfer-Encoding": "chunked" });
    response.flushHeaders();
    let withHeaders = true;
    for await (const event of events) {
      await watch.api.settled(event.object.metadata.resourceVersion);
      await writeChunk(response, `${JSON.stringify({ type: event.type, object: shape(watch, form, event, withHeaders) })}\n`, signal);
      withHeaders = false;
    }
  } catch (cause) {
    if (!signal.aborted && !response.headersSent) throw cause;
    if (!signal.aborted) response.write(`${JSON.stringify({ type: "ERROR", object: reportedStatus(cause, exchange) })}\n`);
  } finally {
    timer[Symbol.dispose]();
  }
  response.end();
}

function shape(watch: WatchStream, form: Form, event: WatchEvent, withHeaders: boolean): unknown {
  const { object } = event;
  if (form.as === "PartialObjectMetadata") return toPartial(object, form.version);
  if (form.as !== "Table") return object;
  const { resourceVersion } = object.metadata;
  const metadata = resourceVersion === undefined ? {} : { resourceVersion };
  return toTable(event.type === "BOOKMARK" ? [] : [object], {
    resource: watch.resource,
    include: watch.include,
    nowMs: watch.clock.nowMs(),
    metadata,
    withHeaders,
    version: form.version,
  });
}
