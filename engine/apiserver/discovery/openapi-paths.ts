import type { Resource } from "@peapod/api";
import type { OpenApiDialect, OpenApiVerb } from "./openapi-dialect.ts";

/** The paths of a group and version: what kubectl looks up before it validates, patches or explains. */
export function openApiPaths(version: string, served: readonly Resource[], dialect: OpenApiDialect): Record<string, unknown> {
  const base = `/${version.includes("/") ? "apis" : "api"}/${version}`;
  const paths: Record<string, unknown> = {};
  for (const resource of served) {
    const operation = (verb: OpenApiVerb): unknown => operationOf(resource, verb, dialect);
    const place = resource.namespaced ? [dialect.parameter("path", "namespace")] : [];
    const root = resource.namespaced ? `${base}/namespaces/{namespace}/${resource.plural}` : `${base}/${resource.plural}`;
    if (resource.namespaced) paths[`${base}/${resource.plural}`] = { get: operation("list") };
    paths[root] = { parameters: place, get: operation("list"), post: operation("post"), delete: operation("deletecollection") };
    const parameters = [...place, dialect.parameter("path", "name")];
    const item = { get: operation("get"), put: operation("put"), patch: operation("patch") };
    paths[`${root}/{name}`] = { parameters, ...item, delete: operation("delete") };
    if (resource.subresources.includes("status")) paths[`${root}/{name}/status`] = { parameters, ...item };
  }
  return paths;
}

const PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
const patchTypes = ["application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json"];

function operationOf(resource: Resource, verb: OpenApiVerb, dialect: OpenApiDialect): unknown {
  const object = dialect.reference(resource.typeName);
  const isWrite = verb === "post" || verb === "put" || verb === "patch";
  const isList = verb === "list" || verb === "deletecollection";
  const takes =
    verb === "patch" ? { mediaTypes: patchTypes, schema: dialect.reference(PATCH) } : { mediaTypes: ["application/json"], schema: object };
  return dialect.operation({
    resource,
    verb,
    query: isWrite ? ["dryRun", "fieldManager", "fieldValidation"] : [],
    ...(isWrite ? { takes } : {}),
    gives: isList ? { type: "object" } : object,
  });
}
