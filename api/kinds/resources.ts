import type { ConfigMap, Event, Lease, Namespace, Node, ObjectMeta, Pod, Secret, ServiceAccount } from "../generated.ts";

/** Any object of the API. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** A kind as the API serves it: its paths, names and verbs. `T` is the type of its objects. */
export interface Resource<T extends KubeObject = KubeObject> {
  /** "" for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: T["kind"];
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  /** Those the engine serves. */
  readonly subresources: readonly string[];
  /** The name of its type in the schema table. */
  readonly typeName: string;
}

const everything = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const core = { group: "", version: "v1", shortNames: [], categories: [], namespaced: true, verbs: everything, subresources: [] };

export const pods: Resource<Pod> = {
  ...core,
  kind: "Pod",
  plural: "pods",
  singular: "pod",
  shortNames: ["po"],
  categories: ["all"],
  subresources: ["status", "log", "exec"],
  typeName: "io.k8s.api.core.v1.Pod",
};
export const configMaps: Resource<ConfigMap> = {
  ...core,
  kind: "ConfigMap",
  plural: "configmaps",
  singular: "configmap",
  shortNames: ["cm"],
  typeName: "io.k8s.api.core.v1.ConfigMap",
};
export const secrets: Resource<Secret> = {
  ...core,
  kind: "Secret",
  plural: "secrets",
  singular: "secret",
  typeName: "io.k8s.api.core.v1.Secret",
};
export const namespaces: Resource<Namespace> = {
  ...core,
  kind: "Namespace",
  plural: "namespaces",
  singular: "namespace",
  shortNames: ["ns"],
  namespaced: false,
  verbs: everything.filter((verb) => verb !== "deletecollection"),
  subresources: ["status", "finalize"],
  typeName: "io.k8s.api.core.v1.Namespace",
};
export const events: Resource<Event> = {
  ...core,
  kind: "Event",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  typeName: "io.k8s.api.core.v1.Event",
};
export const nodes: Resource<Node> = {
  ...core,
  kind: "Node",
  plural: "nodes",
  singular: "node",
  shortNames: ["no"],
  namespaced: false,
  subresources: ["status"],
  typeName: "io.k8s.api.core.v1.Node",
};
export const serviceAccounts: Resource<ServiceAccount> = {
  ...core,
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  singular: "serviceaccount",
  shortNames: ["sa"],
  typeName: "io.k8s.api.core.v1.ServiceAccount",
};
export const leases: Resource<Lease> = {
  ...core,
  group: "coordination.k8s.io",
  kind: "Lease",
  plural: "leases",
  singular: "lease",
  typeName: "io.k8s.api.coordination.v1.Lease",
};

/** Every kind the engine serves. */
export const resources: readonly Resource[] = [pods, configMaps, secrets, namespaces, events, nodes, serviceAccounts, leases];
