import { asRecord, failure, methodNotAllowed, unsupportedMediaType } from "@peapod/api";
import { contentType, readJsonBody } from "../encodings/request-body.ts";
import { StatusError } from "../errors.ts";
import { addWarning, type Exchange } from "../http/exchange.ts";
import type { ObjectRoute } from "../http/routes.ts";
import type { WriteOptions } from "./admission.ts";
import { isDryRun } from "./delete-options.ts";
import type { Place } from "./object-key.ts";
import type { Selection } from "./selection.ts";
import type { Patch } from "./updating.ts";

/** How a write is to be taken, by its query; warnings go into the answer. */
export function writeOptions({ query, response }: Exchange, subresource?: string): WriteOptions {
  return {
    fieldValidation: query.word("fieldValidation", ["Strict", "Warn", "Ignore"]) ?? "Warn",
    dryRun: isDryRun(query),
    onWarning: (text) => addWarning(response, text),
    ...given("subresource", subresource),
  };
}

const patchTypes: Readonly<Record<string, Patch["type"]>> = {
  "application/json-patch+json": "json",
  "application/merge-patch+json": "merge",
  "application/strategic-merge-patch+json": "strategic",
};

/** A patch, of the type that the request says. Throws 400, 413 or 415. */
export async function readPatch({ request }: Exchange): Promise<Patch> {
  const given = contentType(request);
  if (given === "application/apply-patch+yaml" || given === "application/apply-patch+cbor")
    throw new StatusError(
      failure(
        415,
        "UnsupportedMediaType",
        "server-side apply is not supported here: use kubectl apply without --server-side, helm with --server-side=false",
      ),
    );
  const type = patchTypes[given];
  if (type === undefined) throw new StatusError(unsupportedMediaType(Object.keys(patchTypes)));
  return { type, body: await readJsonBody(request, [given]) };
}

/** What a path and its query select. */
export function selectionOf(route: ObjectRoute, { query }: Exchange, alsoField?: string): Selection {
  const fields = [query.text("fieldSelector"), alsoField].filter((part) => part !== undefined).join(",");
  return {
    ...given("namespace", route.namespace),
    ...given("labelSelector", query.text("labelSelector")),
    ...(fields === "" ? {} : { fieldSelector: fields }),
  };
}

/** An object names its namespace where the path of a POST does not. */
export function namespaceOf(route: ObjectRoute, body: unknown): string | undefined {
  if (route.namespace !== undefined || !route.resource.namespaced) return route.namespace;
  const namespace = asRecord(asRecord(body)?.["metadata"])?.["namespace"];
  return typeof namespace === "string" ? namespace : undefined;
}

/** The object that a path names. Throws 405 for a path that names none. */
export function placeOf(route: ObjectRoute, exchange: Exchange): Place {
  if (route.name === undefined) throw notAllowed(route, exchange);
  return { name: route.name, ...given("namespace", route.namespace) };
}

/** 405: nothing does this here. */
export function notAllowed(route: ObjectRoute, { method }: Exchange): StatusError {
  return new StatusError(methodNotAllowed(route.resource, method.toLowerCase()));
}

/** A member that is there only with a value. */
export function given<K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: V }; // one computed key
}
