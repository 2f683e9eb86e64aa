import { unauthorized } from "@peapod/api";
import { StatusError } from "../errors.ts";
import { type Route, verbOf } from "./routes.ts";
import { isKnown, type User } from "./user.ts";

/** What somebody wants to do, in the words of Kubernetes' access reviews. */
export type Access =
  | {
      readonly kind: "resource";
      readonly verb: string;
      readonly group: string;
      readonly resource: string;
      readonly subresource: string;
      readonly namespace: string;
      readonly name: string;
    }
  | { readonly kind: "path"; readonly verb: string; readonly path: string };

/** What whoever it is may ask: how the engine is. */
const open = /^\/(healthz|livez|readyz)(\/|$)/;

/** Whether a user may do this; every request, upgrade and access review asks here. Whoever has a certificate may do everything. */
export function isAllowed(user: User, access: Access): boolean {
  return isKnown(user) || (access.kind === "path" && open.test(access.path));
}

/** Throws 401 for what a user who is not known may not do. */
export function authorize(user: User, access: Access): void {
  if (!isAllowed(user, access)) throw new StatusError(unauthorized());
}

/** What a request wants, by its path and method. */
export function accessOf(route: Route, method: string, path: string, isWatch: boolean): Access {
  if (route.kind !== "objects") return { kind: "path", verb: method.toLowerCase(), path };
  const { resource, subresource = "", namespace = "", name = "" } = route;
  const verb = isWatch && method === "GET" && subresource === "" ? "watch" : verbOf(route, method);
  return { kind: "resource", verb, group: resource.group, resource: resource.plural, subresource, namespace, name };
}
