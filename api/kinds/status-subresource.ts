import type { KubeObject, Subresource } from "./resource.ts";

/** An object whose status is written through a path of its own. */
type WithStatus = KubeObject & { status?: unknown };

/**
 * The path of an object's status: a write changes that and the metadata but for the owners, and nothing else. `complete` adds to a status
 * what stays of the old object's.
 */
export function statusSubresource<T extends WithStatus>(
  complete: (status: T["status"], old: T) => T["status"] = (status) => status,
): Subresource<T> {
  return {
    name: "status",
    verbs: ["get", "patch", "update"],
    write: (given, old) => {
      const { ownerReferences: _given, ...metadata } = given.metadata;
      const owners = old.metadata.ownerReferences === undefined ? {} : { ownerReferences: old.metadata.ownerReferences };
      const object = { ...withoutStatus(old), metadata: { ...metadata, ...owners } };
      return given.status === undefined ? object : { ...object, status: complete(given.status, old) };
    },
  };
}

/** The object without its status. */
export function withoutStatus<T extends WithStatus>(object: T): T {
  const { status: _dropped, ...rest } = object;
  return rest as T; // a status is never required
}

/** The object with the status of another. */
export function keepStatus<T extends WithStatus>(given: T, old: T): T {
  return old.status === undefined ? withoutStatus(given) : { ...given, status: old.status };
}
