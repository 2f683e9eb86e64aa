import { type KubeObject, type ListMeta, parseJson, type Resource } from "@peapod/api";
import { splitLines } from "@peapod/kit";
import {
  ApiError,
  type Client,
  type DeleteOptions,
  type NamedObject,
  type ObjectList,
  type Patch,
  type Selection,
  type WatchEvent,
  type WatchStart,
  type WriteOptions,
} from "./client.ts";
import type { ExecQuery, ExecStream } from "./exec-stream.ts";
import { type KubeconfigChoice, readKubeconfig } from "./kubeconfig.ts";
import { type Exchange, Transport, unreachable } from "./transport.ts";
import { watchObjects } from "./watch.ts";

/** What of a container's log to send; names as in the API's query. */
export interface LogQuery {
  readonly container?: string;
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly timestamps?: boolean;
  readonly tailLines?: number;
  readonly sinceSeconds?: number;
  readonly sinceTime?: string;
  readonly limitBytes?: number;
}

/** A client over HTTPS: the API's verbs, and what is not an object. */
export interface HttpClient extends Client, Disposable {
  readonly server: URL;
  /** The context's. */
  readonly namespace: string;
  /** A container's log, as bytes. A container that has none yet is an ApiError 400. */
  logs(pod: NamedObject, query: LogQuery, signal: AbortSignal): AsyncGenerator<Uint8Array>;
  /** Starts a process in a container. */
  exec(pod: NamedObject, query: ExecQuery, signal: AbortSignal): Promise<ExecStream>;
  /** Any other path of the server, its answer a value. */
  request(exchange: Exchange, signal: AbortSignal): Promise<unknown>;
  /** Any other path of the server, its answer JSON lines. */
  requestLines(exchange: Exchange, signal: AbortSignal): AsyncGenerator<unknown>;
}

/** Connects with a kubeconfig; nothing is sent yet. Throws a KubeconfigError. */
export async function connectHttp(choice: KubeconfigChoice): Promise<HttpClient> {
  return new HttpsClient(new Transport(await readKubeconfig(choice), () => readKubeconfig(choice)));
}

/** A line of a watch or of progress is one object, and etcd's largest is 1.5 MiB: this is far above. */
const LINE_LIMIT_BYTES = 32 * 1024 * 1024;
/** Objects in one answer of a list, as kubectl asks. */
const LIST_CHUNK = 500;
const patchTypes = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
} as const;

class HttpsClient implements HttpClient {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get server(): URL {
    return this.#transport.access.server;
  }

  get namespace(): string {
    return this.#transport.access.namespace;
  }

  async get<T extends KubeObject>(resource: Resource<T>, where: NamedObject, signal: AbortSignal): Promise<T> {
    return await this.#object(resource, { method: "GET", path: pathOf(resource, where) }, signal);
  }

  async list<T extends KubeObject>(resource: Resource<T>, where: Selection, signal: AbortSignal): Promise<ObjectList<T>> {
    const path = pathOf(resource, where);
    const items: T[] = [];
    const selectors = { labelSelector: where.labelSelector, fieldSelector: where.fieldSelector };
    let next: string | undefined;
    for (;;) {
      const { value } = await this.#transport.json(
        { method: "GET", path, query: { ...selectors, limit: LIST_CHUNK, continue: next } },
        signal,
      );
      const list = value as { items?: T[] | null; metadata?: ListMeta }; // the API's own answer to a list of this kind
      for (const item of list.items ?? []) items.push({ ...item, apiVersion: apiVersionOf(resource), kind: resource.kind });
      next = list.metadata?.continue;
      if (next === undefined || next === "") return { items, resourceVersion: list.metadata?.resourceVersion ?? "" };
    }
  }

  watch<T extends KubeObject>(resource: Resource<T>, where: Selection & WatchStart, signal: AbortSignal): AsyncIterable<WatchEvent<T>> {
    const path = pathOf(resource, where);
    const open = (resourceVersion: string): AsyncIterable<unknown> => {
      const query = {
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion,
        labelSelector: where.labelSelector,
        fieldSelector: where.fieldSelector,
      };
      return this.requestLines({ method: "GET", path, query }, signal);
    };
    return watchObjects<T>(open, where.resourceVersion, signal, where.onLost);
  }

  async create<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions, signal: AbortSignal): Promise<T> {
    const path = pathOf(resource, object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace });
    return await this.#object(resource, { method: "POST", path, body: object }, signal, options);
  }

  async update<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions, signal: AbortSignal): Promise<T> {
    const { name, namespace } = object.metadata;
    if (name === undefined) throw new Error(`Cannot update a ${resource.kind} without a name`);
    const path = pathOf(resource, namespace === undefined ? { name } : { namespace, name }, options.subresource);
    return await this.#object(resource, { method: "PUT", path, body: object }, signal, options);
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    where: NamedObject,
    patch: Patch,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<T> {
    const path = pathOf(resource, where, options.subresource);
    const exchange = { method: "PATCH", path, body: patch.body, contentType: patchTypes[patch.type] } as const;
    return await this.#object(resource, exchange, signal, options);
  }

  async delete<T extends KubeObject>(
    resource: Resource<T>,
    where: NamedObject,
    options: DeleteOptions,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    const body = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      propagationPolicy: "Background",
      ...(options.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: options.gracePeriodSeconds }),
      ...(options.uid === undefined ? {} : { preconditions: { uid: options.uid } }),
    };
    try {
      const { value } = await this.#transport.json({ method: "DELETE", path: pathOf(resource, where), body }, signal);
      const answer = value as KubeObject; // the object while its deletion takes time, else a Status
      return answer.kind === resource.kind ? (value as T) : undefined;
    } catch (cause) {
      if (cause instanceof ApiError && cause.code === 404) return undefined;
      throw cause;
    }
  }

  async *logs(pod: NamedObject, query: LogQuery, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const response = await this.#transport.open({ method: "GET", path: `${podPath(pod)}/log`, query: { ...query } }, signal);
    try {
      for await (const chunk of response) yield chunk as Uint8Array; // no encoding is set: chunks are bytes
    } catch (cause) {
      throw signal.aborted ? signal.reason : unreachable(this.server, cause);
    } finally {
      response.destroy();
    }
  }

  async exec(pod: NamedObject, query: ExecQuery, signal: AbortSignal): Promise<ExecStream> {
    const { openExec } = await import("./exec-stream.ts");
    const { container, command, stdin, tty } = query;
    const url = this.#transport.url({
      path: `${podPath(pod)}/exec`,
      query: { container, stdin, stdout: true, stderr: !tty, tty },
    });
    for (const argument of command) url.searchParams.append("command", argument);
    return await openExec(url, await this.#transport.access.authorize(), signal);
  }

  async request(exchange: Exchange, signal: AbortSignal): Promise<unknown> {
    return (await this.#transport.json(exchange, signal)).value;
  }

  async *requestLines(exchange: Exchange, signal: AbortSignal): AsyncGenerator<unknown> {
    const response = await this.#transport.open(exchange, signal);
    try {
      for await (const line of splitLines(response, LINE_LIMIT_BYTES)) {
        if (line.length > 0) yield parseJson(Buffer.from(line).toString("utf8"));
      }
    } catch (cause) {
      throw signal.aborted ? signal.reason : unreachable(this.server, cause);
    } finally {
      response.destroy();
    }
  }

  [Symbol.dispose](): void {
    this.#transport.close();
  }

  async #object<T extends KubeObject>(
    _resource: Resource<T>,
    exchange: Exchange,
    signal: AbortSignal,
    options: WriteOptions = {},
  ): Promise<T> {
    const { fieldManager, fieldValidation, dryRun } = options;
    const query = { fieldManager, fieldValidation, dryRun: dryRun === true ? "All" : undefined };
    const { value, headers } = await this.#transport.json({ ...exchange, query }, signal);
    for (const text of warningTexts(headers["warning"])) options.onWarning?.(text);
    return value as T; // the API's own answer about an object of this kind
  }
}

/** The texts of Warning headers (RFC 7234, 5.5): `299 - "text"`, joined by commas where there are several. */
export function warningTexts(header: string | string[] | undefined): string[] {
  const joined = Array.isArray(header) ? header.join(", ") : (header ?? "");
  return [...joined.matchAll(/\d{3} \S+ "((?:[^"\\]|\\.)*)"/g)].map((match) => (match[1] ?? "").replaceAll(/\\(.)/g, "$1"));
}

function apiVersionOf(resource: Resource): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}

function pathOf(resource: Resource, where: { namespace?: string; name?: string }, subresource?: string): string {
  const base = resource.group === "" ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const inNamespace = resource.namespaced && where.namespace !== undefined ? ["namespaces", where.namespace] : [];
  const parts = [...inNamespace, resource.plural, where.name, subresource].filter((part) => part !== undefined);
  return [base, ...parts.map(encodeURIComponent)].join("/");
}

function podPath(pod: NamedObject): string {
  return `/api/v1/namespaces/${encodeURIComponent(pod.namespace ?? "default")}/pods/${encodeURIComponent(pod.name)}`;
}
