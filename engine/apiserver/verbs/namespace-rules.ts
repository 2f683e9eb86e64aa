import { forbidden, type Namespace, namespaces, notFound, type Resource } from "@peapod/api";
import type { Store } from "../../store/store.ts";
import { StatusError } from "../errors.ts";
import { keyOf } from "./object-key.ts";

/** Throws 404 where the namespace of a new object is missing, 403 where it is being deleted. */
export function checkNamespace(store: Store, resource: Resource, namespace: string, name: string): void {
  const found = store.get(keyOf(namespaces, { name: namespace })) as Namespace | undefined; // the key says the kind
  if (found === undefined) throw new StatusError(notFound(namespaces, namespace));
  if (found.metadata.deletionTimestamp === undefined) return;
  const status = forbidden(resource, name, `unable to create new content in namespace ${namespace} because it is being terminated`);
  const causes = [{ reason: "NamespaceTerminating", message: `namespace ${namespace} is being terminated`, field: "metadata.namespace" }];
  throw new StatusError({ ...status, details: { ...status.details, causes } });
}
