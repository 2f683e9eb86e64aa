import {
  applyDefaults,
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  conflict,
  equalJson,
  type FieldError,
  invalidField,
  isRecord,
  type KubeObject,
  methodNotAllowed,
  PatchError,
  type Resource,
  validateUpdate,
} from "@peapod/api";
import { readObject, refuseInvalid, support, type WriteOptions } from "./admission.ts";
import { type Ground, withoutRepeats } from "./creating.ts";
import { StatusError } from "../errors.ts";
import { isHeld } from "./deleting.ts";
import { changedMetadata } from "./metadata.ts";
import { keyOf, type Place } from "./object-key.ts";
import { getObject } from "./reading.ts";

export interface Patch {
  readonly type: "json" | "merge" | "strategic";
  readonly body: unknown;
}

/** Replaces an object, or its status. Gives it as stored; one that only waited for this change to be gone is removed. */
export function updateObject(ground: Ground, resource: Resource, place: Place, body: unknown, options: WriteOptions): KubeObject {
  return replace(ground, resource, getObject(ground.store, resource, place), body, options);
}

/** Patches an object, or its status, and gives it as stored. */
export function patchObject(ground: Ground, resource: Resource, place: Place, patch: Patch, options: WriteOptions): KubeObject {
  const old = getObject(ground.store, resource, place);
  return replace(ground, resource, old, patched(resource, old, patch), options);
}

function patched(resource: Resource, old: KubeObject, { type, body }: Patch): unknown {
  if (type === "json") return applyJsonPatch(old, body);
  if (!isRecord(body)) throw new PatchError("malformed", "the patch must be a JSON object");
  return type === "merge" ? applyMergePatch(old, body) : applyStrategicMergePatch(old, body, resource.typeName);
}

function replace(ground: Ground, resource: Resource, old: KubeObject, body: unknown, options: WriteOptions): KubeObject {
  const read = readObject(body, resource, options);
  const name = old.metadata.name ?? "";
  checkPreconditions(resource, name, old, read.object);
  const metadata = changedMetadata(resource, read.object, old);
  const { subresource } = options;
  const object = withGeneration(resource, applyDefaults(merge(resource, { ...read.object, metadata }, old, subresource)), old);
  const errors: FieldError[] = [...read.errors, ...versionErrors(resource, read.object), ...validateUpdate(object, old, subresource)];
  if (subresource === undefined) errors.push(...support(object, old, options));
  refuseInvalid(resource, name, withoutRepeats(errors));
  const key = keyOf(resource, { ...metadata, name });
  if (options.dryRun === true) return object;
  if (isDone(resource, object)) return ground.store.delete(key, old.metadata.resourceVersion);
  if (equalJson(object, old)) return old;
  return ground.store.update(key, object, old.metadata.resourceVersion ?? "");
}

function checkPreconditions(resource: Resource, name: string, old: KubeObject, given: KubeObject): void {
  const { resourceVersion = "", uid = "" } = given.metadata;
  if (uid !== "" && uid !== old.metadata.uid)
    throw new StatusError(
      conflict(resource, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`),
    );
  if (resourceVersion !== "" && resourceVersion !== old.metadata.resourceVersion) throw new StatusError(conflict(resource, name));
}

/** Where two writers must not overwrite each other, each must know which version it changes. */
function versionErrors(resource: Resource, given: KubeObject): FieldError[] {
  if (!resource.requiresVersion || (given.metadata.resourceVersion ?? "") !== "") return [];
  return [invalidField("metadata.resourceVersion", 0, "must be specified for an update")];
}

/** What of a write counts: a subresource's path writes its part of the object, the object's own path the rest. */
function merge(resource: Resource, object: KubeObject, old: KubeObject, subresource: string | undefined): KubeObject {
  if (subresource === undefined) return resource.keep(object, old);
  const through = resource.subresources.find(({ name }) => name === subresource);
  if (through?.write === undefined) throw new StatusError(methodNotAllowed(resource, "update"));
  return through.write(object, old);
}

function withGeneration(resource: Resource, object: KubeObject, old: KubeObject): KubeObject {
  const { generation } = old.metadata;
  if (generation === undefined || !resource.isRevision(object, old)) return object;
  return { ...object, metadata: { ...object.metadata, generation: generation + 1 } };
}

/** Whether an object that is being deleted has nothing left to wait for. */
function isDone(resource: Resource, object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = object.metadata;
  return deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0 && !isHeld(resource, object);
}
