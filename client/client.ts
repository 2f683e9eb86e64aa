import type { KubeObject, Resource, Status } from "@peapod/api";

/** The Kubernetes API, one interface: over HTTPS (`connectHttp`), or in-process (`connectInProcess`). Every failure is an ApiError. */
export interface Client {
  get<T extends KubeObject>(resource: Resource<T>, where: NamedObject, signal: AbortSignal): Promise<T>;
  list<T extends KubeObject>(resource: Resource<T>, where: Selection, signal: AbortSignal): Promise<ObjectList<T>>;
  /** Changes after `resourceVersion`, as they happen; bookmarks are kept inside. Ends by throwing an ApiError 410 when it must be listed anew. */
  watch<T extends KubeObject>(resource: Resource<T>, where: Selection & WatchStart, signal: AbortSignal): AsyncIterable<WatchEvent<T>>;
  create<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions, signal: AbortSignal): Promise<T>;
  /** PUT; `metadata.resourceVersion` must be the stored one where it is given. */
  update<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions, signal: AbortSignal): Promise<T>;
  patch<T extends KubeObject>(
    resource: Resource<T>,
    where: NamedObject,
    patch: Patch,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<T>;
  /** Gives the object that is being deleted, or undefined when it is gone already. */
  delete<T extends KubeObject>(
    resource: Resource<T>,
    where: NamedObject,
    options: DeleteOptions,
    signal: AbortSignal,
  ): Promise<T | undefined>;
}

export interface NamedObject {
  /** Left out for what has no namespace. */
  readonly namespace?: string;
  readonly name: string;
}

export interface Selection {
  /** Left out: every namespace. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface WatchStart {
  readonly resourceVersion: string;
  /** Called each time the server does not answer; the watch goes on by itself when it does again. Never in-process. */
  readonly onLost?: () => void;
}

export interface ObjectList<T> {
  readonly items: T[];
  readonly resourceVersion: string;
}

export interface WatchEvent<T> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: T;
}

export interface WriteOptions {
  readonly subresource?: "status" | "finalize";
  readonly fieldManager?: string;
  /** The server's default is Warn. */
  readonly fieldValidation?: "Strict" | "Warn" | "Ignore";
  readonly dryRun?: boolean;
  /** Called with each Warning header of the answer. */
  readonly onWarning?: (text: string) => void;
}

export interface Patch {
  readonly type: "json" | "merge" | "strategic";
  readonly body: unknown;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  /** Only if the object is still this one. */
  readonly uid?: string;
}

/** The API's answer to what it will not or cannot do. `status.reason` and `status.code` tell which: switch on them. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: Status;
  constructor(status: Status, options?: ErrorOptions) {
    super(status.message ?? status.reason ?? "The API answered with a failure", options);
    this.status = status;
  }

  /** The HTTP status code. */
  get code(): number {
    return this.status.code ?? 500;
  }
}
