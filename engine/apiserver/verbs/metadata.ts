import { randomUUID } from "node:crypto";
import { badRequest, type KubeObject, nameFromPrefix, type ObjectMeta, type Resource, timestamp } from "@peapod/api";
import { StatusError } from "../errors.ts";

/** What the server alone decides of a stored object. */
const serverFields = [
  "uid",
  "creationTimestamp",
  "resourceVersion",
  "generation",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
] as const;

/** The metadata of a new object: what the client may say, and what the server adds. Throws 400 for what contradicts the path. */
export function newMetadata(resource: Resource, object: KubeObject, namespace: string | undefined, nowMs: number): ObjectMeta {
  const given = object.metadata;
  if ((given.resourceVersion ?? "") !== "") throw new StatusError(badRequest("resourceVersion should not be set on objects to be created"));
  const { name, generateName } = given;
  const full =
    name !== undefined && name !== ""
      ? { name }
      : generateName !== undefined && generateName !== ""
        ? { name: nameFromPrefix(generateName) }
        : {};
  return {
    ...clientFields(given),
    ...full,
    ...placed(resource, given, namespace),
    uid: randomUUID(),
    creationTimestamp: timestamp(nowMs),
    ...(resource.hasGeneration ? { generation: 1 } : {}),
  };
}

/** The metadata of a replaced object: what the client says, over what it cannot change. Throws 400 for what contradicts the path. */
export function changedMetadata(resource: Resource, object: KubeObject, old: KubeObject): ObjectMeta {
  const given = object.metadata;
  const name = given.name ?? "";
  if (name !== old.metadata.name)
    throw new StatusError(badRequest(`the name of the object (${name}) does not match the name on the URL (${old.metadata.name})`));
  const kept: Partial<Record<(typeof serverFields)[number] | "generateName", unknown>> = {};
  for (const field of [...serverFields, "generateName"] as const) if (old.metadata[field] !== undefined) kept[field] = old.metadata[field];
  return { ...clientFields(given), ...placed(resource, given, old.metadata.namespace), ...(kept as Partial<ObjectMeta>) }; // taken from one
}

/** Field ownership is not kept: nothing here applies on the server's side. */
function clientFields(given: ObjectMeta): ObjectMeta {
  const fields: ObjectMeta = { ...given };
  for (const field of [...serverFields, "managedFields", "selfLink"] as const) delete fields[field];
  if (fields.generateName === "") delete fields.generateName;
  for (const field of ["labels", "annotations"] as const) if (Object.keys(fields[field] ?? {}).length === 0) delete fields[field];
  for (const field of ["finalizers", "ownerReferences"] as const) if ((fields[field] ?? []).length === 0) delete fields[field];
  return fields;
}

function placed(resource: Resource, given: ObjectMeta, namespace: string | undefined): ObjectMeta {
  if (!resource.namespaced) {
    if ((given.namespace ?? "") !== "")
      throw new StatusError(badRequest(`namespace is not allowed on this type: ${resource.plural} belong to the whole node`));
    return {};
  }
  if (namespace === undefined || namespace === "") throw new StatusError(badRequest("an empty namespace may not be set during creation"));
  if ((given.namespace ?? "") !== "" && given.namespace !== namespace)
    throw new StatusError(
      badRequest(
        `the namespace of the provided object does not match the namespace sent on the request: ${given.namespace} is not ${namespace}`,
      ),
    );
  return { namespace };
}
