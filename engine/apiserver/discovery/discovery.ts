import { groupVersion, type Resource, resources } from "@peapod/api";

const NO_ADDRESSES = [{ clientCIDR: "0.0.0.0/0", serverAddress: "" }];

/** Every group and version that is served, the core one first. */
const served = [...new Map(resources.map(({ group, version }) => [groupVersion({ group, version }), { group, version }])).values()];
const groups = served.filter(({ group }) => group !== "");

/** The paths that `/` tells of. */
export function servedPaths(): string[] {
  const versions = served.map((entry) => (entry.group === "" ? `/api/${entry.version}` : `/apis/${groupVersion(entry)}`));
  const others = ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"];
  return [...versions, ...others].sort();
}

/** /api: the versions of the core group. */
export function coreVersions(): unknown {
  return { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: NO_ADDRESSES };
}

/** /apis: every other group. */
export function groupList(): unknown {
  return {
    kind: "APIGroupList",
    apiVersion: "v1",
    groups: [...new Set(groups.map(({ group }) => group))].map((group) => withoutKind(groupOf(group))),
  };
}

/** /apis/GROUP. */
export function groupOf(group: string): { kind: string; apiVersion: string; name: string; versions: unknown[]; preferredVersion: unknown } {
  const versions = groups
    .filter((served) => served.group === group)
    .map(({ version }) => ({ groupVersion: `${group}/${version}`, version }));
  return { kind: "APIGroup", apiVersion: "v1", name: group, versions, preferredVersion: versions[0] };
}

/** /api/v1 and /apis/GROUP/VERSION: the resources, and their subresources after them. */
export function resourceList(version: string): unknown {
  const entries = resources.filter((resource) => groupVersion(resource) === version).flatMap(entriesOf);
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion: version, resources: entries };
}

/** /api and /apis as clients from 1.27 ask for them: all at once. */
export function aggregated(core: boolean): unknown {
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items: [...Map.groupBy(core ? served.filter(({ group }) => group === "") : groups, ({ group }) => group)].map(([name, versions]) => ({
      metadata: { name, creationTimestamp: null },
      versions: versions.map((entry) => ({
        version: entry.version,
        freshness: "Current",
        resources: resources.filter((resource) => groupVersion(resource) === groupVersion(entry)).map(aggregatedEntry),
      })),
    })),
  };
}

function entriesOf(resource: Resource): unknown[] {
  const { plural, singular, namespaced, kind, verbs, shortNames, categories } = resource;
  const main = {
    name: plural,
    singularName: singular,
    namespaced,
    kind,
    verbs,
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
  };
  const below = resource.subresources.map(({ name, takes, verbs: verbsBelow }) => ({
    name: `${plural}/${name}`,
    singularName: "",
    namespaced,
    kind: takes ?? kind,
    verbs: verbsBelow,
  }));
  return [main, ...below];
}

function aggregatedEntry(resource: Resource): unknown {
  const { plural, singular, namespaced, kind, group, version, verbs, shortNames, categories } = resource;
  const subresources = resource.subresources.map(({ name, takes, verbs: verbsBelow }) => ({
    subresource: name,
    responseKind: { group: "", version: "", kind: takes ?? kind },
    verbs: verbsBelow,
  }));
  return {
    resource: plural,
    responseKind: { group, version, kind },
    scope: namespaced ? "Namespaced" : "Cluster",
    singularResource: singular,
    verbs,
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
    ...(subresources.length === 0 ? {} : { subresources }),
  };
}

function withoutKind({ kind: _kind, apiVersion: _version, ...rest }: ReturnType<typeof groupOf>): unknown {
  return rest;
}
