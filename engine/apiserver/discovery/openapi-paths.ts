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
    const parameters = [...place, dialect.parameter("path", "name")];
    const those = (verbs: readonly string[], methods: Readonly<Record<string, OpenApiVerb>>): Record<string, unknown> => {
      const known = Object.entries(methods).filter(([, verb]) => verbs.includes(apiVerbs[verb] ?? verb));
      return Object.fromEntries(known.map(([method, verb]) => [method, operation(verb)]));
    };
    if (resource.namespaced) paths[`${base}/${resource.plural}`] = those(resource.verbs, { get: "list" });
    paths[root] = { parameters: place, ...those(resource.verbs, { get: "list", post: "post", delete: "deletecollection" }) };
    const item = { get: "get", put: "put", patch: "patch" } as const;
    paths[`${root}/{name}`] = { parameters, ...those(resource.verbs, { ...item, delete: "delete" }) };
    for (const below of resource.subresources)
      if (below.write !== undefined) paths[`${root}/{name}/${below.name}`] = { parameters, ...those(below.verbs, item) };
  }
  return paths;
}

/** OpenAPI names some verbs by their method. */
const apiVerbs: Readonly<Partial<Record<OpenApiVerb, string>>> = { post: "create", put: "update" };
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
