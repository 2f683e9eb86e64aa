import type { IncomingMessage, ServerResponse } from "node:http";
import { isAbsolute } from "node:path";
import { badRequest, methodNotAllowed, unknownPath } from "@peapod/api";
import type { ImageService, PullProgress } from "../images/images.ts";
import { NodeApiError, statusOf } from "./node-api-error.ts";
import { readJsonBody } from "./request-body.ts";
import { sendJson, sendLines } from "./responses.ts";

export interface NodeApiOptions {
  readonly images: ImageService;
  readonly engine: {
    info(): object;
    /** Begins the engine's end; the answer is sent before it. */
    stop(): void;
  };
}

/** A part of the engine's HTTP server. */
export interface NodeApi {
  readonly prefix: "/peapod.dev/v1/";
  /** Answers a request under the prefix; never rejects. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

const PREFIX = "/peapod.dev/v1/";

/** What Kubernetes has no API for: the node's images and the engine itself. Answers and errors as the API's: JSON, and Status. */
export function nodeApi(options: NodeApiOptions): NodeApi {
  return {
    prefix: PREFIX,
    handle: async (request, response) => {
      const gone = new AbortController();
      response.once("close", () => gone.abort(new Error("The client went away")));
      try {
        await route(options, request, response, gone.signal);
      } catch (cause) {
        const status = statusOf(cause);
        if (response.headersSent) response.destroy();
        else sendJson(response, status.code ?? 500, status);
      }
    },
  };
}

type Handler = (exchange: Exchange) => Promise<void> | void;

interface Exchange {
  readonly images: ImageService;
  readonly engine: NodeApiOptions["engine"];
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  readonly signal: AbortSignal;
}

const routes: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
  engine: { GET: ({ engine, response }) => sendJson(response, 200, engine.info()) },
  "engine/stop": {
    POST: ({ engine, response }) => {
      response.once("finish", () => engine.stop());
      sendJson(response, 202, { stopping: true });
    },
  },
  images: {
    GET: async ({ images, response }) => sendJson(response, 200, { images: await images.listImages() }),
    DELETE: async ({ images, query, response }) => {
      const reference = query.get("reference");
      if (reference === null || reference === "") throw new NodeApiError(badRequest("Name the image to remove: ?reference=NAME"));
      sendJson(response, 200, await images.removeImage(reference));
    },
  },
  "images/pull": { POST: pull },
  "images/load": { POST: load },
  "images/prune": {
    POST: async ({ images, request, response }) => {
      const body = await readJsonBody(request);
      sendJson(response, 200, await images.prune({ all: body["all"] === true }));
    },
  },
  "images/progress": { GET: async ({ images, response, signal }) => await sendLines(response, images.progress(signal), signal) },
};

async function route(options: NodeApiOptions, request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
  const url = new URL(request.url ?? "/", "http://localhost");
  const methods = Object.entries(routes).find(([path]) => url.pathname === PREFIX + path)?.[1];
  if (methods === undefined) throw new NodeApiError(unknownPath());
  const method = request.method ?? "GET";
  const handler = Object.entries(methods).find(([name]) => name === method)?.[1];
  if (handler === undefined)
    throw new NodeApiError(methodNotAllowed({ group: "peapod.dev", plural: url.pathname.slice(PREFIX.length) }, method));
  await handler({ ...options, request, response, query: url.searchParams, signal });
}

async function pull({ images, request, response, signal }: Exchange): Promise<void> {
  const { reference } = await readJsonBody(request);
  if (typeof reference !== "string" || reference === "") throw new NodeApiError(badRequest('Name the image to pull: {"reference": NAME}'));
  const work = async (stop: AbortSignal): Promise<object> => ({
    image: await images.pullImage(reference, stop),
    name: images.completeName(reference),
  });
  await sendLines(response, withProgress(images, [reference], work, signal), signal);
}

async function load({ images, request, response, signal }: Exchange): Promise<void> {
  const { path, reference } = await readJsonBody(request);
  if (typeof path !== "string" || !isAbsolute(path))
    throw new NodeApiError(badRequest('Name an absolute path on this machine: {"path": PATH}'));
  if (reference !== undefined && typeof reference !== "string") throw new NodeApiError(badRequest("reference: expected a string"));
  const options = reference === undefined ? {} : { reference };
  const work = async (stop: AbortSignal): Promise<object> => ({ images: await images.loadImages(path, options, stop) });
  await sendLines(response, withProgress(images, [path, reference], work, signal), signal);
}

/** The steps of one piece of work as they happen, then what it came to: its result, or `{error: Status}`. */
async function* withProgress(
  images: ImageService,
  names: readonly (string | undefined)[],
  work: (signal: AbortSignal) => Promise<object>,
  signal: AbortSignal,
): AsyncGenerator<object> {
  const ended = new AbortController();
  const steps = images.progress(AbortSignal.any([signal, ended.signal]));
  const iterator = steps[Symbol.asyncIterator]();
  // Listening begins before the work does, so that the first step is not missed.
  let next = iterator.next();
  next.catch(() => {}); // looked at below, unless the work ends first
  const result = work(signal)
    .catch((cause: unknown) => ({ error: statusOf(cause) }))
    .then((value) => ({ result: value }));
  try {
    for (;;) {
      const first = await Promise.race([result, next]);
      if ("result" in first) {
        yield first.result;
        return;
      }
      if (first.done === true) {
        yield (await result).result;
        return;
      }
      if (concerns(first.value, names)) yield first.value;
      next = iterator.next();
      next.catch(() => {}); // as above
    }
  } finally {
    ended.abort(new Error("The work has ended"));
    await iterator.return?.().catch(() => {}); // it may end by throwing what aborted it
  }
}

/** The service may write a name in full (`docker.io/library/nginx:latest` for `nginx`). */
function concerns(step: PullProgress, names: readonly (string | undefined)[]): boolean {
  return names.some((name) => name !== undefined && (step.reference === name || step.reference.includes(name)));
}
