import {
  applyDefaults,
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  conflict,
  equalJson,
  type FieldError,
  isRecord,
  type KubeObject,
  type Namespace,
  namespaces,
  PatchError,
  type Pod,
  type PodSpec,
  pods,
  type Resource,
  validateUpdate,
} from "@peapod/api";
import { readObject, refuseInvalid, support, type WriteOptions } from "./admission.ts";
import { type Ground, withoutRepeats } from "./creating.ts";
import { StatusError } from "../errors.ts";
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
  const object = withGeneration(applyDefaults(merge(resource, { ...read.object, metadata }, old, options.subresource)), old);
  const subresource = options.subresource === "status" ? ("status" as const) : undefined;
  const errors: FieldError[] = [...read.errors, ...versionErrors(resource, read.object), ...validateUpdate(object, old, subresource)];
  if (options.subresource === undefined) errors.push(...support(object, old, options));
  refuseInvalid(resource, name, withoutRepeats(errors));
  const key = keyOf(resource, { ...metadata, name });
  if (options.dryRun === true) return object;
  if (isDone(object)) return ground.store.delete(key, old.metadata.resourceVersion);
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

/** Whoever renews a lease must know which one: two holders must not overwrite each other. */
function versionErrors(resource: Resource, given: KubeObject): FieldError[] {
  if (resource.kind !== "Lease" || (given.metadata.resourceVersion ?? "") !== "") return [];
  const field = "metadata.resourceVersion";
  const detail = "Invalid value: 0: must be specified for an update";
  return [{ type: "FieldValueInvalid", field, detail, message: `${field}: ${detail}` }];
}

type Parts = KubeObject & { spec?: unknown; status?: unknown };

/** The status is written through its own path only, and all else but the metadata not through that one. */
function merge(resource: Resource, object: Parts, old: Parts, subresource: WriteOptions["subresource"]): Parts {
  if (subresource === "status") {
    const { ownerReferences: _given, ...metadata } = object.metadata;
    const owners = old.metadata.ownerReferences === undefined ? {} : { ownerReferences: old.metadata.ownerReferences };
    return { ...without(object, "spec"), ...only(old, "spec"), metadata: { ...metadata, ...owners }, ...statusOf(resource, object, old) };
  }
  if (subresource === "finalize") return { ...old, metadata: object.metadata, ...only(object, "spec") };
  if (!resource.subresources.includes("status")) return object;
  const spec = resource.kind === namespaces.kind ? only(old, "spec") : {}; // its finalizers go through finalize
  return { ...without(object, "status"), ...spec, ...only(old, "status") };
}

/** A pod's class of service follows from its spec, whatever a status says. */
function statusOf(resource: Resource, object: Parts, old: Parts): { status?: unknown } {
  if (object.status === undefined || resource.kind !== pods.kind) return only(object, "status");
  const qosClass = (old as Pod).status?.qosClass; // the resource says the kind
  return { status: { ...object.status, ...(qosClass === undefined ? {} : { qosClass }) } };
}

function only(object: Parts, field: "spec" | "status"): { spec?: unknown; status?: unknown } {
  return object[field] === undefined ? {} : { [field]: object[field] };
}

function without(object: Parts, field: "spec" | "status"): Parts {
  const { [field]: _dropped, ...rest } = object;
  return rest as Parts; // a required field is never among those two
}

function withGeneration(object: Parts, old: Parts): Parts {
  const { generation } = old.metadata;
  if (generation === undefined || equalJson(object.spec, old.spec) || isBinding(object, old)) return object;
  return { ...object, metadata: { ...object.metadata, generation: generation + 1 } };
}

/** Whether all that happens to a pod is that it comes to a node: nobody changed what it is meant to be. */
function isBinding(object: Parts, old: Parts): boolean {
  const [spec, oldSpec] = [object.spec as PodSpec | undefined, old.spec as PodSpec | undefined]; // what is no pod has no nodeName
  if (spec?.nodeName === undefined || (oldSpec?.nodeName ?? "") !== "") return false;
  return equalJson({ ...spec, nodeName: "" }, { ...oldSpec, nodeName: "" });
}

/** Whether an object that is being deleted has nothing left to wait for. */
function isDone(object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata;
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds > 0 || finalizers.length > 0) return false;
  return object.kind !== namespaces.kind || ((object as Namespace).spec?.finalizers ?? []).length === 0; // as its kind says
}
