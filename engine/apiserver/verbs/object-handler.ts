import { success } from "@peapod/api";
import type { Clock } from "@peapod/kit";
import { readObjectBody } from "../encodings/request-body.ts";
import { addWarning, type Exchange, sendValue } from "../http/exchange.ts";
import { type ObjectRoute, verbOf } from "../http/routes.ts";
import { readDeleteOptions } from "./delete-options.ts";
import { includeOf, sendList, sendObject } from "./object-answer.ts";
import type { ObjectApi } from "./object-api.ts";
import { given, namespaceOf, notAllowed, placeOf, readPatch, selectionOf, writeOptions } from "./object-request.ts";
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
  if (!verbsOf(route).includes(verbOf(route, exchange.method))) throw notAllowed(route, exchange);
  switch (exchange.method) {
    case "GET":
      return await read(ground, route, exchange);
    case "POST": {
      if (route.name !== undefined) throw notAllowed(route, exchange);
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
