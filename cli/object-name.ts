import type { KubeObject } from "@peapod/api";
import type { ManifestObject } from "./manifest.ts";

/** `pod/web`, as kubectl names things. */
export function nameOf({ resource, object }: ManifestObject): string {
  return `${resource.singular}/${object.metadata.name ?? `${object.metadata.generateName ?? ""}*`}`;
}

/** The object with the namespace it goes to. */
export function inNamespace({ resource, object }: ManifestObject, namespace: string): ManifestObject {
  if (!resource.namespaced || object.metadata.namespace !== undefined) return { resource, object };
  return { resource, object: { ...object, metadata: { ...object.metadata, namespace } } };
}

/** Where an object with a name is. */
export function placeOf(object: KubeObject): { namespace?: string; name: string } {
  const { name = "", namespace } = object.metadata;
  return namespace === undefined ? { name } : { namespace, name };
}
