import { groupVersion, type Resource, resources } from "@peapod/api";
import type { HealthPath } from "./health.ts";

/** A path of objects. */
export interface ObjectRoute {
  readonly kind: "objects";
  readonly resource: Resource;
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

/** What a path leads to. */
export type Route =
  | ObjectRoute
  | { readonly kind: "health"; readonly path: HealthPath; readonly check?: string }
  | { readonly kind: "access-review" }
  | { readonly kind: "custom-resources" }
  | { readonly kind: "version" }
  | { readonly kind: "root" }
  | { readonly kind: "core-versions" }
  | { readonly kind: "groups" }
  | { readonly kind: "group"; readonly group: string }
  | { readonly kind: "resources"; readonly groupVersion: string }
  | { readonly kind: "openapi-v2" }
  | { readonly kind: "openapi-index" }
  | { readonly kind: "openapi"; readonly groupVersion: string }
  | { readonly kind: "unknown" };

const served: ReadonlySet<string> = new Set(resources.map(groupVersion));

/** Reads a path, as it came, still encoded. */
export function parseRoute(path: string): Route {
  const parts = path.split("/").filter((part) => part !== "");
  const decoded: string[] = [];
  for (const part of parts) {
    const text = decodePart(part);
    if (text === undefined) return { kind: "unknown" };
    decoded.push(text);
  }
  const [first, second, third, ...rest] = decoded;
  if (first === undefined) return { kind: "root" };
  if (first === "healthz" || first === "livez" || first === "readyz")
    return third === undefined ? { kind: "health", path: first, ...(second === undefined ? {} : { check: second }) } : { kind: "unknown" };
  if (first === "version") return second === undefined ? { kind: "version" } : { kind: "unknown" };
  if (first === "openapi" && second === "v2" && third === undefined) return { kind: "openapi-v2" };
  if (first === "openapi" && second === "v3") return openapiRoute([third, ...rest].filter((part) => part !== undefined));
  if (first === "api")
    return second === undefined ? { kind: "core-versions" } : versionRoute("", second, third === undefined ? [] : [third, ...rest]);
  if (path === "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews") return { kind: "access-review" };
  if (path === "/apis/apiextensions.k8s.io/v1/customresourcedefinitions") return { kind: "custom-resources" };
  if (first !== "apis") return { kind: "unknown" };
  if (second === undefined) return { kind: "groups" };
  if (third === undefined)
    return resources.some(({ group }) => group === second && group !== "") ? { kind: "group", group: second } : { kind: "unknown" };
  return versionRoute(second, third, rest);
}

/** What a method does on a path of objects, in the API's words. */
export function verbOf({ name }: ObjectRoute, method: string): string {
  const isOne = name !== undefined;
  const verbs: Readonly<Record<string, string>> = {
    GET: isOne ? "get" : "list",
    POST: "create",
    PUT: "update",
    PATCH: "patch",
    DELETE: isOne ? "delete" : "deletecollection",
  };
  return verbs[method] ?? method.toLowerCase();
}

function openapiRoute(parts: readonly string[]): Route {
  if (parts.length === 0) return { kind: "openapi-index" };
  const [prefix, ...rest] = parts;
  const version = rest.join("/");
  const isCore = !version.includes("/");
  return served.has(version) && prefix === (isCore ? "api" : "apis") ? { kind: "openapi", groupVersion: version } : { kind: "unknown" };
}

function versionRoute(group: string, version: string, rest: readonly string[]): Route {
  const name = groupVersion({ group, version });
  if (!served.has(name)) return { kind: "unknown" };
  if (rest.length === 0) return { kind: "resources", groupVersion: name };
  const find = (plural: string | undefined): Resource | undefined =>
    resources.find((resource) => resource.group === group && resource.version === version && resource.plural === plural);
  const [first, second, third] = rest;
  const inner = find(third);
  if (first === "namespaces" && second !== undefined && inner?.namespaced === true) return objectRoute(inner, second, rest.slice(3));
  const resource = find(first);
  if (resource === undefined || (resource.namespaced && rest.length > 1)) return { kind: "unknown" };
  return objectRoute(resource, undefined, rest.slice(1));
}

function objectRoute(resource: Resource, namespace: string | undefined, rest: readonly string[]): Route {
  const [name, subresource, ...more] = rest;
  if (more.length > 0 || (subresource !== undefined && !resource.subresources.some((below) => below.name === subresource)))
    return { kind: "unknown" };
  return {
    kind: "objects",
    resource,
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    ...(subresource === undefined ? {} : { subresource }),
  };
}

function decodePart(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined; // no path of ours
  }
}
