import {
  asRecord,
  failure,
  groupVersion,
  type KubeObject,
  methodNotAllowed,
  type Resource,
  success,
  unsupportedMediaType,
} from "@peapod/api";
import type { Clock } from "@peapod/kit";
import type { WriteOptions } from "./admission.ts";
import { isDryRun, readDeleteOptions } from "./delete-options.ts";
import { StatusError } from "../errors.ts";
import { addWarning, type Exchange, sendValue } from "../http/exchange.ts";
import { type Form, negotiate } from "../encodings/negotiation.ts";
import type { ObjectApi } from "./object-api.ts";
import type { Place } from "./object-key.ts";
import type { ListResult } from "./reading.ts";
import { contentType, readJsonBody, readObjectBody } from "../encodings/request-body.ts";
import type { ObjectRoute } from "../http/routes.ts";
import type { Selection } from "./selection.ts";
import { type IncludeObject, toPartial, toTable } from "../encodings/table.ts";
import type { Patch } from "./updating.ts";
import { streamWatch } from "./watch-stream.ts";

export interface ObjectGround {
  readonly api: ObjectApi;
  readonly clock: Clock;
}

/**
 * Answers a request for objects: reads method, query and body, calls the verb, and gives the answer its form. A write is answered when it
 * is on disk.
 */
export async function handleObjects(ground: ObjectGround, route: ObjectRoute, exchange: Exchange): Promise<void> {
  const { resource, subresource } = route;
  if (!verbsOf(route).includes(verbOf(route, exchange))) throw notAllowed(route, exchange);
  switch (exchange.method) {
    case "GET":
      return await read(ground, route, exchange);
    case "POST": {
      const body = await readObjectBody(exchange.request);
      const options = writeOptions(exchange);
      const made = ground.api.create(resource, namespaceOf(route, body), body ?? {}, options);
      await acknowledge(ground, exchange);
      return await sendObject(ground, exchange, resource, 201, made);
    }
    case "PUT": {
      const place = placeOf(route, exchange);
      const body = await readObjectBody(exchange.request);
      ground.api.refuseUnkept(ground.api.get(resource, place));
      const updated = ground.api.update(resource, place, body, writeOptions(exchange, subresource));
      await acknowledge(ground, exchange);
      ground.api.refuseUnkept(updated); // it may be what told that the disk takes nothing
      return await sendObject(ground, exchange, resource, 200, updated);
    }
    case "PATCH": {
      const place = placeOf(route, exchange);
      const patch = await readPatch(exchange);
      ground.api.refuseUnkept(ground.api.get(resource, place));
      const patched = ground.api.patch(resource, place, patch, writeOptions(exchange, subresource));
      await acknowledge(ground, exchange);
      ground.api.refuseUnkept(patched);
      return await sendObject(ground, exchange, resource, 200, patched);
    }
    case "DELETE":
      return await remove(ground, route, exchange);
    default:
      throw notAllowed(route, exchange);
  }
}

/** What is served below this path; an unknown subresource has no route. */
function verbsOf({ resource, subresource }: ObjectRoute): readonly string[] {
  if (subresource === undefined) return resource.verbs;
  const below = resource.subresources.find(({ name }) => name === subresource);
  return below?.write === undefined ? [] : below.verbs;
}

/** A request's method in the API's words; "" for what means nothing on this path. */
function verbOf({ name, subresource }: ObjectRoute, { method }: Exchange): string {
  const isOne = name !== undefined;
  const verbs: Readonly<Record<string, string>> = {
    GET: isOne ? "get" : "list",
    POST: isOne && subresource === undefined ? "" : "create",
    PUT: isOne ? "update" : "",
    PATCH: isOne ? "patch" : "",
    DELETE: isOne ? "delete" : "deletecollection",
  };
  return verbs[method] ?? "";
}

async function read(ground: ObjectGround, route: ObjectRoute, exchange: Exchange): Promise<void> {
  const { resource, name } = route;
  const { query } = exchange;
  const isWatch = query.flag("watch") && exchange.request.method !== "HEAD"; // whose answer has no body that could go on
  if (name !== undefined && !isWatch) {
    const object = ground.api.get(resource, placeOf(route, exchange));
    await ground.api.settled(object.metadata.resourceVersion);
    return await sendObject(ground, exchange, resource, 200, object);
  }
  const named = name === undefined ? undefined : `metadata.name=${name}`;
  const selection = selectionOf(route, exchange, named);
  const version = {
    ...given("resourceVersion", query.text("resourceVersion")),
    ...given("resourceVersionMatch", query.text("resourceVersionMatch")),
  };
  if (isWatch) {
    const request = {
      ...selection,
      ...version,
      ...given("sendInitialEvents", query.optionalFlag("sendInitialEvents")),
      allowWatchBookmarks: query.flag("allowWatchBookmarks"),
    };
    return await streamWatch({ ...ground, resource, request, include: includeOf(exchange) }, exchange);
  }
  const page = { ...given("limit", query.integer("limit")), ...given("continue", query.text("continue")) };
  const list = ground.api.list(resource, { ...selection, ...version, ...page });
  await ground.api.settled(list.resourceVersion);
  await sendList(ground, exchange, resource, list);
}

async function remove(ground: ObjectGround, route: ObjectRoute, exchange: Exchange): Promise<void> {
  const { resource } = route;
  const options = await readDeleteOptions(exchange);
  if (route.name === undefined) {
    const deleted = ground.api.deleteCollection(resource, selectionOf(route, exchange), options);
    await acknowledge(ground, exchange);
    return await sendList(ground, exchange, resource, { items: deleted.map(({ object }) => object), resourceVersion: "" });
  }
  const { kind, object } = ground.api.delete(resource, placeOf(route, exchange), options);
  await acknowledge(ground, exchange);
  if (kind === "terminating" || resource.answersDeleted) return await sendObject(ground, exchange, resource, 200, object);
  const { name = "", uid = "" } = object.metadata;
  await sendValue(
    exchange.response,
    200,
    success({ name, ...(resource.group === "" ? {} : { group: resource.group }), kind: resource.plural, uid }),
  );
}

async function acknowledge({ api }: ObjectGround, { response }: Exchange): Promise<void> {
  await api.sync();
  if (api.trouble !== undefined) addWarning(response, api.trouble);
}

async function sendObject(ground: ObjectGround, exchange: Exchange, resource: Resource, code: number, object: KubeObject): Promise<void> {
  const form = negotiate(exchange.request.headers.accept, ["Table", "PartialObjectMetadata"]);
  const { resourceVersion } = object.metadata;
  const shaped = shape(ground, exchange, resource, form, [object], resourceVersion === undefined ? {} : { resourceVersion });
  await sendValue(exchange.response, code, shaped ?? object, { "Content-Type": form.mediaType });
}

async function sendList(ground: ObjectGround, exchange: Exchange, resource: Resource, list: ListResult): Promise<void> {
  const form = negotiate(exchange.request.headers.accept, ["Table", "PartialObjectMetadataList"]);
  const { items, ...rest } = list;
  const metadata = {
    resourceVersion: rest.resourceVersion,
    ...given("continue", rest.continue),
    ...given("remainingItemCount", rest.remainingItemCount),
  };
  const shaped = shape(ground, exchange, resource, form, items, metadata);
  const value = shaped ?? { kind: `${resource.kind}List`, apiVersion: groupVersion(resource), metadata, items: items.map(withoutType) };
  await sendValue(exchange.response, 200, value, { "Content-Type": form.mediaType });
}

function shape(
  ground: ObjectGround,
  exchange: Exchange,
  resource: Resource,
  form: Form,
  objects: readonly KubeObject[],
  metadata: Record<string, unknown>,
): unknown {
  const { version } = form;
  if (form.as === "Table")
    return toTable(objects, { resource, include: includeOf(exchange), nowMs: ground.clock.nowMs(), metadata, withHeaders: true, version });
  const [first] = objects;
  if (form.as === "PartialObjectMetadata" && first !== undefined) return toPartial(first, version);
  if (form.as === "PartialObjectMetadataList")
    return {
      kind: "PartialObjectMetadataList",
      apiVersion: `meta.k8s.io/${version}`,
      metadata,
      items: objects.map((object) => toPartial(object, version)),
    };
  return undefined;
}

/** A list says once what its items are. */
function withoutType({ kind: _kind, apiVersion: _version, ...rest }: KubeObject): unknown {
  return rest;
}

function includeOf({ query }: Exchange): IncludeObject {
  return query.word("includeObject", ["None", "Metadata", "Object"]) ?? "Metadata";
}

function writeOptions({ query, response }: Exchange, subresource?: string): WriteOptions {
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

async function readPatch({ request }: Exchange): Promise<Patch> {
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

function selectionOf(route: ObjectRoute, { query }: Exchange, alsoField?: string): Selection {
  const fields = [query.text("fieldSelector"), alsoField].filter((part) => part !== undefined).join(",");
  return {
    ...given("namespace", route.namespace),
    ...given("labelSelector", query.text("labelSelector")),
    ...(fields === "" ? {} : { fieldSelector: fields }),
  };
}

/** An object names its namespace where the path of a POST does not. */
function namespaceOf(route: ObjectRoute, body: unknown): string | undefined {
  if (route.namespace !== undefined || !route.resource.namespaced) return route.namespace;
  const namespace = asRecord(asRecord(body)?.["metadata"])?.["namespace"];
  return typeof namespace === "string" ? namespace : undefined;
}

function placeOf(route: ObjectRoute, exchange: Exchange): Place {
  if (route.name === undefined) throw notAllowed(route, exchange);
  return { name: route.name, ...given("namespace", route.namespace) };
}

function notAllowed(route: ObjectRoute, { method }: Exchange): StatusError {
  return new StatusError(methodNotAllowed(route.resource, method.toLowerCase()));
}

function given<K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: V }; // one computed key
}
