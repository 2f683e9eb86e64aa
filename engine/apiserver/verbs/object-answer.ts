import type { Clock } from "@peapod/kit";
import { groupVersion, type KubeObject, type Resource } from "@peapod/api";
import { type Form, negotiate } from "../encodings/negotiation.ts";
import { type IncludeObject, toPartial, toTable } from "../encodings/table.ts";
import { type Exchange, sendValue } from "../http/exchange.ts";
import { given } from "./object-request.ts";
import type { ListResult } from "./reading.ts";

/** What of an object is to go along with its row of a table. */
export function includeOf({ query }: Exchange): IncludeObject {
  return query.word("includeObject", ["None", "Metadata", "Object"]) ?? "Metadata";
}

/** Answers with an object, in the form that the client asks for. */
export async function sendObject(
  ground: { readonly clock: Clock },
  exchange: Exchange,
  resource: Resource,
  code: number,
  object: KubeObject,
): Promise<void> {
  const form = negotiate(exchange.request.headers.accept, ["Table", "PartialObjectMetadata"]);
  const { resourceVersion } = object.metadata;
  const shaped = shape(ground, exchange, resource, form, [object], resourceVersion === undefined ? {} : { resourceVersion });
  await sendValue(exchange.response, code, shaped ?? object, { "Content-Type": form.mediaType });
}

/** Answers with a list, in the form that the client asks for. */
export async function sendList(ground: { readonly clock: Clock }, exchange: Exchange, resource: Resource, list: ListResult): Promise<void> {
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
  ground: { readonly clock: Clock },
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
