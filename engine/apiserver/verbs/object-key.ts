import type { KubeObject, Resource } from "@peapod/api";
import type { ObjectKey } from "../../store/store.ts";

/** Where an object is: `namespace` is "" or absent for what has none. */
export interface Place {
  readonly namespace?: string;
  readonly name: string;
}

/** The store's name of a resource: `pods`, `leases.coordination.k8s.io`. */
export function storeName(resource: Resource): string {
  return resource.group === "" ? resource.plural : `${resource.plural}.${resource.group}`;
}

/** The store's key of an object. */
export function keyOf(resource: Resource, place: Place): ObjectKey {
  return { resource: storeName(resource), namespace: resource.namespaced ? (place.namespace ?? "") : "", name: place.name };
}

/** Where a stored object is. */
export function placeOf(object: KubeObject): Place {
  const { namespace, name = "" } = object.metadata;
  return { name, ...(namespace === undefined ? {} : { namespace }) };
}
