import type { Resource } from "@peapod/api";

/** The paths of a group and version: what kubectl looks up before it validates, patches or explains. */
export function openApiPaths(version: string, served: readonly Resource[]): Record<string, unknown> {
  const base = `/${version.includes("/") ? "apis" : "api"}/${version}`;
  const paths: Record<string, unknown> = {};
  for (const resource of served) {
    const root = resource.namespaced ? `${base}/namespaces/{namespace}/${resource.plural}` : `${base}/${resource.plural}`;
    if (resource.namespaced) paths[`${base}/${resource.plural}`] = { get: operation(resource, "list") };
    paths[root] = {
      parameters: placeParameters(resource),
      get: operation(resource, "list"),
      post: operation(resource, "post"),
      delete: operation(resource, "deletecollection"),
    };
    const item = {
      get: operation(resource, "get"),
      put: operation(resource, "put"),
      patch: operation(resource, "patch"),
      delete: operation(resource, "delete"),
    };
    paths[`${root}/{name}`] = { parameters: [...placeParameters(resource), pathParameter("name")], ...item };
    if (resource.subresources.includes("status")) {
      const { get, put, patch } = item;
      paths[`${root}/{name}/status`] = { parameters: [...placeParameters(resource), pathParameter("name")], get, put, patch };
    }
  }
  return paths;
}

const patchTypes = ["application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json"];
const patchSchema = { $ref: "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Patch" };

type Verb = "list" | "get" | "post" | "put" | "patch" | "delete" | "deletecollection";

function operation(resource: Resource, verb: Verb): unknown {
  const { group, version, kind, typeName } = resource;
  const schema = { $ref: `#/components/schemas/${typeName}` };
  const isWrite = verb === "post" || verb === "put" || verb === "patch";
  const isList = verb === "list" || verb === "deletecollection";
  const parameters = isWrite ? [queryParameter("dryRun"), queryParameter("fieldManager"), queryParameter("fieldValidation")] : [];
  const content =
    verb === "patch" ? Object.fromEntries(patchTypes.map((type) => [type, { schema: patchSchema }])) : { "application/json": { schema } };
  return {
    operationId: `${verb}${kind}`,
    parameters,
    ...(isWrite ? { requestBody: { content, required: true } } : {}),
    responses: { "200": { description: "OK", content: { "application/json": { schema: isList ? { type: "object" } : schema } } } },
    "x-kubernetes-action": verb,
    "x-kubernetes-group-version-kind": { group, kind, version },
  };
}

function placeParameters(resource: Resource): unknown[] {
  return resource.namespaced ? [pathParameter("namespace")] : [];
}

function pathParameter(name: string): unknown {
  return { name, in: "path", required: true, schema: { type: "string", uniqueItems: true } };
}

function queryParameter(name: string): unknown {
  return { name, in: "query", schema: { type: "string", uniqueItems: true } };
}
