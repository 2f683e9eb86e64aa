import { conflict, forbidden, type KubeObject, type Resource, timestamp } from "@peapod/api";
import type { Ground } from "./creating.ts";
import { StatusError, statusOf } from "../errors.ts";
import { keyOf, type Place, placeOf } from "./object-key.ts";
import { getObject, listObjects } from "./reading.ts";
import type { Selection } from "./selection.ts";

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly dryRun?: boolean;
}

/** What became of an object: removed, or marked and waited for. */
export interface Deletion {
  readonly kind: "removed" | "terminating";
  readonly object: KubeObject;
}

/**
 * Deletes an object. One that is given a grace, as a pod that runs somewhere, is marked, and removed by who ends it, with grace 0; a second
 * deletion can only shorten it. What waits for finalizers, or for what its kind says, is marked too. Throws 403, 404 or 409.
 */
export function deleteObject(ground: Ground, resource: Resource, place: Place, options: DeleteOptions): Deletion {
  const object = getObject(ground.store, resource, place);
  checkPreconditions(resource, object, options);
  const why = resource.refuseDeletion(object);
  if (why !== undefined) throw new StatusError(forbidden(resource, place.name, why));
  const grace = graceOf(resource, object, options);
  if (grace === undefined) return { kind: "terminating", object };
  if (grace === 0 && !isHeld(resource, object)) return remove(ground, resource, object, options);
  const marked = withDeletion(object, grace, ground.clock.nowMs());
  return mark(
    ground,
    resource,
    object.metadata.deletionTimestamp === undefined ? resource.prepareDeletion(marked) : marked,
    object,
    options,
  );
}

/** Deletes what is selected, one by one, and gives it. */
export function deleteSelected(ground: Ground, resource: Resource, selection: Selection, options: DeleteOptions): Deletion[] {
  const { items } = listObjects(ground.store, resource, selection);
  return items.flatMap((object) => {
    try {
      return [deleteObject(ground, resource, placeOf(object), options)];
    } catch (cause) {
      if (statusOf(cause).code === 404) return []; // gone meanwhile is deleted
      throw cause;
    }
  });
}

function checkPreconditions(resource: Resource, object: KubeObject, { uid, resourceVersion }: DeleteOptions): void {
  const { name = "", uid: stored, resourceVersion: version } = object.metadata;
  const mismatch = (what: string, wanted: string, found: string | undefined): StatusError =>
    new StatusError(
      conflict(
        resource,
        name,
        `the ${what} in the precondition (${wanted}) does not match the ${what} in record (${found}). The object might have been deleted and then recreated`,
      ),
    );
  if (uid !== undefined && uid !== stored) throw mismatch("UID", uid, stored);
  if (resourceVersion !== undefined && resourceVersion !== version) throw mismatch("ResourceVersion", resourceVersion, version);
}

/** The seconds that this deletion gives; undefined where it changes nothing. */
function graceOf(resource: Resource, object: KubeObject, options: DeleteOptions): number | undefined {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = object.metadata;
  const notNegative = (seconds: number): number => (seconds < 0 ? 1 : seconds); // as upstream
  const asked = options.gracePeriodSeconds === undefined ? undefined : notNegative(options.gracePeriodSeconds);
  if (deletionTimestamp !== undefined) {
    if (deletionGracePeriodSeconds === 0) return isHeld(resource, object) ? undefined : 0;
    return asked !== undefined && asked < deletionGracePeriodSeconds ? asked : undefined;
  }
  return resource.deletionGrace(object, asked);
}

/** Whether an object waits for somebody before it goes. */
export function isHeld(resource: Resource, object: KubeObject): boolean {
  return (object.metadata.finalizers ?? []).length > 0 || resource.awaitsCleanup(object);
}

/** The last moment that an API's timestamp can say. A grace is any int64, and would lead past it. */
const LAST_MS = Date.parse("9999-12-31T23:59:59Z");

/** `deletionTimestamp` is when the object must be gone: a shorter grace moves it forward. */
function withDeletion(object: KubeObject, graceSeconds: number, nowMs: number): KubeObject {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, generation } = object.metadata;
  const endMs = deletionTimestamp === undefined ? undefined : Date.parse(deletionTimestamp);
  const askedMs = endMs === undefined || endMs === LAST_MS ? nowMs : endMs - deletionGracePeriodSeconds * 1_000;
  const bumped = deletionTimestamp === undefined && generation !== undefined ? { generation: generation + 1 } : {};
  const deletion = {
    deletionTimestamp: timestamp(Math.min(askedMs + graceSeconds * 1_000, LAST_MS)),
    deletionGracePeriodSeconds: graceSeconds,
  };
  return { ...object, metadata: { ...object.metadata, ...deletion, ...bumped } };
}

function remove(ground: Ground, resource: Resource, object: KubeObject, options: DeleteOptions): Deletion {
  if (options.dryRun === true) return { kind: "removed", object };
  return { kind: "removed", object: ground.store.delete(keyOf(resource, placeOf(object)), object.metadata.resourceVersion) };
}

function mark(ground: Ground, resource: Resource, marked: KubeObject, object: KubeObject, options: DeleteOptions): Deletion {
  if (options.dryRun === true) return { kind: "terminating", object: marked };
  return {
    kind: "terminating",
    object: ground.store.update(keyOf(resource, placeOf(object)), marked, object.metadata.resourceVersion ?? ""),
  };
}
