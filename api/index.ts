export type * from "./generated.ts";
export { configMaps, events, type KubeObject, leases, namespaces, nodes, pods, type Resource, resources, secrets, serviceAccounts } from "./resources.ts";
