import { isAbsolute } from "node:path";
import { badRequest, methodNotAllowed } from "@peapod/api";
import { readParameters } from "../apiserver/encodings/request-body.ts";
import { noSuchPath, reportedStatus, StatusError } from "../apiserver/errors.ts";
import { type Exchange, sendLines, sendValue } from "../apiserver/http/exchange.ts";
import type { ImageService, PullProgress } from "../images/images.ts";

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
  /** Answers a request under the prefix. Throws what becomes a Status. */
  handle(exchange: Exchange): Promise<void>;
}

const PREFIX = "/peapod.dev/v1/";
/** Of a request's body: a name and a path fit many times over. */
const LIMIT_BYTES = 64 * 1024;

/** What Kubernetes has no API for: the node's images and the engine itself. Answers and errors as the API's: JSON, and Status. */
export function nodeApi(options: NodeApiOptions): NodeApi {
  return { prefix: PREFIX, handle: (exchange) => route(options, exchange) };
}

type Handler = (options: NodeApiOptions, exchange: Exchange) => Promise<void>;

const routes: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
  engine: { GET: async ({ engine }, { response }) => await sendValue(response, 200, engine.info()) },
  "engine/stop": {
    POST: async ({ engine }, { response }) => {
      response.once("finish", () => engine.stop());
      await sendValue(response, 202, { stopping: true });
    },
  },
  images: {
    GET: async ({ images }, { response }) => await sendValue(response, 200, { images: await images.listImages() }),
    DELETE: async ({ images }, { query, response }) => {
      const reference = query.text("reference");
      if (reference === undefined) throw new StatusError(badRequest("Name the image to remove: ?reference=NAME"));
      await sendValue(response, 200, await images.removeImage(reference));
    },
  },
  "images/pull": { POST: pull },
  "images/load": { POST: load },
  "images/prune": {
    POST: async ({ images }, { request, response }) => {
      const { all } = await readParameters(request, LIMIT_BYTES);
      await sendValue(response, 200, await images.prune({ all: all === true }));
    },
  },
  "images/progress": { GET: async ({ images }, exchange) => await sendLines(exchange, images.progress(exchange.signal)) },
};

async function route(options: NodeApiOptions, exchange: Exchange): Promise<void> {
  const { method, path } = exchange;
  const name = path.slice(PREFIX.length);
  const methods = Object.hasOwn(routes, name) ? routes[name] : undefined;
  if (methods === undefined) throw noSuchPath();
  const handler = Object.hasOwn(methods, method) ? methods[method] : undefined;
  if (handler === undefined) throw new StatusError(methodNotAllowed({ group: "peapod.dev", plural: name }, method));
  await handler(options, exchange);
}

async function pull({ images }: NodeApiOptions, exchange: Exchange): Promise<void> {
  const { reference } = await readParameters(exchange.request, LIMIT_BYTES);
  if (typeof reference !== "string" || reference === "") throw new StatusError(badRequest('Name the image to pull: {"reference": NAME}'));
  const work = async (stop: AbortSignal): Promise<object> => ({
    image: await images.pullImage(reference, stop),
    name: images.completeName(reference),
  });
  await sendLines(exchange, withProgress(images, [reference], work, exchange));
}

async function load({ images }: NodeApiOptions, exchange: Exchange): Promise<void> {
  const { path, reference } = await readParameters(exchange.request, LIMIT_BYTES);
  if (typeof path !== "string" || !isAbsolute(path))
    throw new StatusError(badRequest('Name an absolute path on this machine: {"path": PATH}'));
  if (reference !== undefined && typeof reference !== "string") throw new StatusError(badRequest("reference: expected a string"));
  const options = reference === undefined ? {} : { reference };
  const work = async (stop: AbortSignal): Promise<object> => ({ images: await images.loadImages(path, options, stop) });
  await sendLines(exchange, withProgress(images, [path, reference], work, exchange));
}

/** The steps of one piece of work as they happen, then what it came to: its result, or `{error: Status}`. */
async function* withProgress(
  images: ImageService,
  names: readonly (string | undefined)[],
  work: (signal: AbortSignal) => Promise<object>,
  exchange: Exchange,
): AsyncGenerator<object> {
  const { signal } = exchange;
  const ended = new AbortController();
  const steps = images.progress(AbortSignal.any([signal, ended.signal]));
  const iterator = steps[Symbol.asyncIterator]();
  // Listening begins before the work does, so that the first step is not missed.
  let next = iterator.next();
  next.catch(() => {}); // looked at below, unless the work ends first
  const result = work(signal)
    .catch((cause: unknown) => ({ error: reportedStatus(cause, exchange) }))
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
