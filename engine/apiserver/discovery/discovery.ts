import { type Resource, resources } from "@peapod/api";
import { groupVersion } from "../verbs/object-key.ts";

const NO_ADDRESSES = [{ clientCIDR: "0.0.0.0/0", serverAddress: "" }];

const groups: readonly { group: string; version: string }[] = [{ group: "coordination.k8s.io", version: "v1" }];

/** The verbs of the subresources that clients are told of. */
const subresourceVerbs: Readonly<Record<string, readonly string[]>> = {
  status: ["get", "patch", "update"],
  finalize: ["update"],
  log: ["get"],
  exec: ["create", "get"],
};

const subresourceKinds: Readonly<Record<string, string>> = { exec: "PodExecOptions" };

/** /api: the versions of the core group. */
export function coreVersions(): unknown {
  return { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: NO_ADDRESSES };
}

/** /apis: every other group. */
export function groupList(): unknown {
  return { kind: "APIGroupList", apiVersion: "v1", groups: groups.map(({ group }) => withoutKind(groupOf(group))) };
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
  const served = core ? [{ group: "", version: "v1" }] : groups;
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items: served.map((entry) => ({
      metadata: { name: entry.group, creationTimestamp: null },
      versions: [
        {
          version: entry.version,
          freshness: "Current",
          resources: resources.filter((resource) => groupVersion(resource) === groupVersion(entry)).map(aggregatedEntry),
        },
      ],
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
  const below = resource.subresources.map((name) => ({
    name: `${plural}/${name}`,
    singularName: "",
    namespaced,
    kind: subresourceKinds[name] ?? kind,
    verbs: subresourceVerbs[name] ?? [],
  }));
  return [main, ...below];
}

function aggregatedEntry(resource: Resource): unknown {
  const { plural, singular, namespaced, kind, group, version, verbs, shortNames, categories } = resource;
  const subresources = resource.subresources.map((subresource) => ({
    subresource,
    responseKind: { group: "", version: "", kind: subresourceKinds[subresource] ?? kind },
    verbs: subresourceVerbs[subresource] ?? [],
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
