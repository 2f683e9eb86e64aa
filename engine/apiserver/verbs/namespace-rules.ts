import { forbidden, type Namespace, namespaces, notFound, type Resource, type ServiceAccount, serviceAccounts } from "@peapod/api";
import type { Store } from "../../store/store.ts";
import { StatusError } from "../errors.ts";
import { keyOf } from "./object-key.ts";

/** Those that every cluster has. */
export const systemNamespaces: readonly string[] = ["default", "kube-system", "kube-public", "kube-node-lease"];

const immortal: readonly string[] = ["default", "kube-system", "kube-public"];

/** Throws 404 where the namespace of a new object is missing, 403 where it is being deleted. */
export function checkNamespace(store: Store, resource: Resource, namespace: string, name: string): void {
  const found = store.get(keyOf(namespaces, { name: namespace })) as Namespace | undefined; // the key says the kind
  if (found === undefined) throw new StatusError(notFound(namespaces, namespace));
  if (found.metadata.deletionTimestamp === undefined) return;
  const status = forbidden(resource, name, `unable to create new content in namespace ${namespace} because it is being terminated`);
  const causes = [{ reason: "NamespaceTerminating", message: `namespace ${namespace} is being terminated`, field: "metadata.namespace" }];
  throw new StatusError({ ...status, details: { ...status.details, causes } });
}

/** Throws 403 for a namespace that must stay. */
export function checkDeletable(name: string): void {
  if (immortal.includes(name)) throw new StatusError(forbidden(namespaces, name, "this namespace may not be deleted"));
}

/** A new namespace as it is stored first: its content is deleted before itself. */
export function prepareNamespace(namespace: Namespace): Namespace {
  const finalizers = namespace.spec?.finalizers ?? [];
  return {
    ...namespace,
    spec: { ...namespace.spec, finalizers: finalizers.includes("kubernetes") ? finalizers : [...finalizers, "kubernetes"] },
    status: { phase: "Active" },
  };
}

/** The account that pods of a namespace run as unless they say otherwise. */
export function defaultServiceAccount(namespace: string): { resource: Resource<ServiceAccount>; object: ServiceAccount } {
  return { resource: serviceAccounts, object: { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace } } };
}
