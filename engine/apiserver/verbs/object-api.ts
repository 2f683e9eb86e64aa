import { type KubeObject, type Resource, resources, type Status } from "@peapod/api";
import type { WriteOptions } from "./admission.ts";
import { createAlong, createObject, type Ground } from "./creating.ts";
import { deleteObject, type DeleteOptions, deleteSelected, type Deletion } from "./deleting.ts";
import { statusOf } from "../errors.ts";
import { keyOf, type Place } from "./object-key.ts";
import { getObject, listObjects, type ListRequest, type ListResult } from "./reading.ts";
import type { Selection } from "./selection.ts";
import { type Patch, patchObject, updateObject } from "./updating.ts";
import { type WatchEvent, watchObjects, type WatchRequest } from "./watching.ts";

/**
 * The verbs of the Kubernetes API over a store: what HTTP requests and the in-process client both come down to.
 * Each verb is one step that nothing comes between. Objects given are frozen: the store's own. Failures are StatusError, or errors
 * that `statusOf` knows.
 */
export class ObjectApi {
  readonly #ground: Ground;

  constructor(ground: Ground) {
    this.#ground = ground;
  }

  /** Makes the objects that every cluster has, where they are missing. Call it once, before anything else. */
  prepare(): void {
    for (const resource of resources) {
      for (const name of resource.builtIn) {
        const known = this.#ground.store.get(keyOf(resource, { name }));
        if (known === undefined) this.create(resource, undefined, { metadata: { name } }, {});
        else createAlong(this.#ground, resource, known);
      }
    }
  }

  get(resource: Resource, place: Place): KubeObject {
    return getObject(this.#ground.store, resource, place);
  }

  list(resource: Resource, request: ListRequest): ListResult {
    return listObjects(this.#ground.store, resource, request);
  }

  watch(resource: Resource, request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchEvent> {
    return watchObjects(this.#ground.store, resource, request, signal);
  }

  create(resource: Resource, namespace: string | undefined, body: unknown, options: WriteOptions): KubeObject {
    return createObject(this.#ground, resource, namespace, body, options);
  }

  update(resource: Resource, place: Place, body: unknown, options: WriteOptions): KubeObject {
    return updateObject(this.#ground, resource, place, body, options);
  }

  patch(resource: Resource, place: Place, patch: Patch, options: WriteOptions): KubeObject {
    return patchObject(this.#ground, resource, place, patch, options);
  }

  delete(resource: Resource, place: Place, options: DeleteOptions): Deletion {
    return deleteObject(this.#ground, resource, place, options);
  }

  deleteCollection(resource: Resource, selection: Selection, options: DeleteOptions): Deletion[] {
    return deleteSelected(this.#ground, resource, selection, options);
  }

  /** Resolves when all that was written until now is on disk: only then a client's write is acknowledged. Rejects where it cannot come there. */
  async sync(): Promise<void> {
    await this.#ground.store.sync();
  }

  /** Resolves when a client may be shown something of this version: no client's write is lost once another client saw it. */
  async settled(version: string | undefined): Promise<void> {
    if (version !== undefined && version !== "") await this.#ground.store.settled(version);
  }

  /** What is wrong with the store's disk, for a person. */
  get trouble(): string | undefined {
    return this.#ground.store.trouble;
  }

  /** Throws where a client's change to this object would be acknowledged, and be gone with the engine. What is being deleted may still go. */
  refuseUnkept({ metadata }: KubeObject): void {
    const { fault } = this.#ground.store;
    if (fault !== undefined && metadata.deletionTimestamp === undefined) throw fault;
  }

  statusOf(error: unknown): Status {
    return statusOf(error);
  }
}
