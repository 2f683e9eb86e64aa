import { configMaps } from "./config-map.ts";
import { events } from "./event.ts";
import { leases } from "./lease.ts";
import { namespaces } from "./namespace.ts";
import { nodes } from "./node.ts";
import { podTemplates } from "./pod-template.ts";
import { pods } from "./pod.ts";
import type { KubeObject, Resource } from "./resource.ts";
import { secrets } from "./secret.ts";
import { serviceAccounts } from "./service-account.ts";

/** Every kind the engine serves. */
export const resources: readonly Resource[] = [pods, configMaps, secrets, namespaces, events, nodes, serviceAccounts, podTemplates, leases];

/** `v1`, `coordination.k8s.io/v1`. */
export function groupVersion(resource: { group: string; version: string }): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}

/** The kind that an object is of; undefined for one that the engine does not serve. */
export function resourceOf({ apiVersion, kind }: Pick<KubeObject, "apiVersion" | "kind">): Resource | undefined {
  return resources.find((resource) => resource.kind === kind && groupVersion(resource) === apiVersion);
}
