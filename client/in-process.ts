import type { KubeObject, Resource, Status } from "@peapod/api";
import { giveWay } from "@peapod/kit";
import { ApiError, type Client, type DeleteOptions, type NamedObject, type Patch, type Selection, type WriteOptions } from "./client.ts";

/**
 * What the in-process client needs of an API server: its verbs as plain calls. What goes wrong is thrown, as an error that `statusOf`
 * makes a Status.
 */
export interface InProcessApi {
  get(resource: Resource, place: NamedObject): KubeObject;
  list(
    resource: Resource,
    request: Selection & { readonly limit: number; readonly continue?: string },
  ): { readonly items: KubeObject[]; readonly resourceVersion: string; readonly continue?: string };
  watch(
    resource: Resource,
    request: Selection & { resourceVersion: string },
    signal: AbortSignal,
  ): AsyncIterable<{ type: string; object: KubeObject }>;
  create(resource: Resource, namespace: string | undefined, body: unknown, options: WriteOptions): KubeObject;
  update(resource: Resource, place: NamedObject, body: unknown, options: WriteOptions): KubeObject;
  patch(resource: Resource, place: NamedObject, patch: Patch, options: WriteOptions): KubeObject;
  statusOf(error: unknown): Status;
  delete(
    resource: Resource,
    place: NamedObject,
    options: DeleteOptions,
  ): { readonly kind: "removed" | "terminating"; readonly object: KubeObject };
}

/** Objects read in one turn of the event loop: what is not in the store's cache is parsed. */
const LIST_CHUNK = 200;

/**
 * A client of an API server in the same process: no connection, no JSON. Objects it gives are frozen, the server's own: copy to change.
 */
export function connectInProcess(api: InProcessApi): Client {
  /** The server gives objects of the resource's kind; it does not know `T`. */
  const call = <T>(signal: AbortSignal, verb: () => unknown): Promise<T> =>
    new Promise((resolve, reject) => {
      try {
        signal.throwIfAborted();
        resolve(verb() as T);
      } catch (cause) {
        reject(signal.aborted ? signal.reason : toApiError(cause, api));
      }
    });
  return {
    get: (resource, where, signal) => call(signal, () => api.get(erased(resource), where)),
    list: async <T extends KubeObject>(resource: Resource<T>, where: Selection, signal: AbortSignal) => {
      const items: T[] = [];
      for (let next: string | undefined; ;) {
        const request = { ...where, limit: LIST_CHUNK, ...(next === undefined ? {} : { continue: next }) };
        const page = await call<ReturnType<InProcessApi["list"]>>(signal, () => api.list(erased(resource), request));
        for (const item of page.items) items.push(item as T); // as `call`
        next = page.continue;
        if (next === undefined) return { items, resourceVersion: page.resourceVersion };
        await giveWay();
      }
    },
    watch: <T extends KubeObject>(resource: Resource<T>, where: Selection & { resourceVersion: string }, signal: AbortSignal) =>
      watch<T>(api, erased(resource), where, signal),
    create: (resource, object, options, signal) =>
      call(signal, () => api.create(erased(resource), object.metadata.namespace, object, options)),
    update: (resource, object, options, signal) => call(signal, () => api.update(erased(resource), placeOf(object), object, options)),
    patch: (resource, where, patch, options, signal) => call(signal, () => api.patch(erased(resource), where, patch, options)),
    delete: (resource, where, options, signal) => call(signal, () => deletion(api, erased(resource), where, options)),
  };
}

async function* watch<T extends KubeObject>(
  api: InProcessApi,
  resource: Resource,
  where: Selection & { resourceVersion: string },
  signal: AbortSignal,
): AsyncGenerator<{ type: "ADDED" | "MODIFIED" | "DELETED"; object: T }> {
  try {
    for await (const { type, object } of api.watch(resource, where, signal)) {
      if (type === "ADDED" || type === "MODIFIED" || type === "DELETED") yield { type, object: object as T }; // as `call`
    }
  } catch (cause) {
    throw signal.aborted ? signal.reason : toApiError(cause, api);
  }
}

/** Gone already is what a deletion wants. */
function deletion(api: InProcessApi, resource: Resource, where: NamedObject, options: DeleteOptions): KubeObject | undefined {
  try {
    const { kind, object } = api.delete(resource, where, options);
    return kind === "terminating" ? object : undefined;
  } catch (cause) {
    if (api.statusOf(cause).code === 404) return undefined;
    throw cause;
  }
}

function placeOf(object: KubeObject): NamedObject {
  const { namespace, name = "" } = object.metadata;
  return { name, ...(namespace === undefined ? {} : { namespace }) };
}

/** The server serves kinds by their description alone. */
function erased<T extends KubeObject>(resource: Resource<T>): Resource {
  return resource as unknown as Resource;
}

function toApiError(cause: unknown, api: InProcessApi): unknown {
  return cause instanceof ApiError ? cause : new ApiError(api.statusOf(cause), { cause });
}
