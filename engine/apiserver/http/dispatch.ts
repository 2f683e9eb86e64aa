import { methodNotAllowed } from "@peapod/api";
import { aggregated, coreVersions, groupList, groupOf, resourceList, servedPaths } from "../discovery/discovery.ts";
import { noSuchPath, StatusError } from "../errors.ts";
import { type Exchange, sendBytes, sendValue } from "./exchange.ts";
import { negotiate } from "../encodings/negotiation.ts";
import { handleObjects } from "../verbs/object-handler.ts";
import type { OpenApi, OpenApiDocument } from "../discovery/openapi.ts";
import type { StreamGround } from "../subresources/stream.ts";
import { streamOf } from "../subresources/streams.ts";
import { handleAccessReview } from "./access-review.ts";
import type { Route } from "./routes.ts";
import { versionInfo } from "../discovery/version.ts";

/** What the API's paths are answered from. */
export interface ApiGround extends StreamGround {
  readonly openApi: OpenApi;
}

/** Answers a request of the Kubernetes API by what its path leads to. */
export async function dispatch(ground: ApiGround, route: Exclude<Route, { kind: "health" }>, exchange: Exchange): Promise<void> {
  if (route.kind === "objects") {
    const stream = streamOf(route);
    return await (stream === undefined ? handleObjects(ground, route, exchange) : stream.answer(ground, route, exchange));
  }
  if (route.kind === "unknown") throw noSuchPath();
  if (route.kind === "access-review" && exchange.method === "POST") return await handleAccessReview(exchange);
  if (exchange.method !== "GET") throw new StatusError(methodNotAllowed({ group: "", plural: route.kind }, exchange.method.toLowerCase()));
  const { request, response } = exchange;
  const discovery = async (core: boolean, legacy: () => unknown): Promise<void> => {
    const form = negotiate(request.headers.accept, ["APIGroupDiscoveryList"]);
    const value = form.as === "APIGroupDiscoveryList" ? aggregated(core) : legacy();
    await sendValue(response, 200, value, { "Content-Type": form.mediaType, Vary: "Accept" });
  };
  switch (route.kind) {
    case "version":
      return await sendValue(response, 200, versionInfo());
    case "root":
      return await sendValue(response, 200, { paths: servedPaths() });
    case "core-versions":
      return await discovery(true, coreVersions);
    case "groups":
      return await discovery(false, groupList);
    case "group":
      return await sendValue(response, 200, groupOf(route.group));
    case "resources":
      return await sendValue(response, 200, resourceList(route.groupVersion));
    case "custom-resources":
      return await sendValue(response, 200, noCustomResources());
    case "openapi-v2":
      return await sendOpenApiV2(exchange, ground.openApi);
    case "openapi-index":
      return await sendValue(response, 200, ground.openApi.index());
    case "openapi":
      return await sendOpenApi(exchange, ground.openApi.document(route.groupVersion));
    case "access-review":
      throw noSuchPath();
  }
}

/** There are none. kubectl asks when OpenAPI does not have a kind, as for a `kind: PodList`, and goes on only with an answer. */
function noCustomResources(): unknown {
  return { kind: "CustomResourceDefinitionList", apiVersion: "apiextensions.k8s.io/v1", metadata: {}, items: [] };
}

/** The types that clients ask for it by, the older first. */
const openApiProtobufTypes = [
  "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
  "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
];

async function sendOpenApiV2(exchange: Exchange, openApi: OpenApi): Promise<void> {
  const { accept } = exchange.request.headers;
  if (openApiProtobufTypes.some((type) => accept?.includes(type) === true))
    return await sendOpenApi(exchange, openApi.v2("protobuf"), "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
  negotiate(accept, [], ["application/json"]);
  await sendOpenApi(exchange, openApi.v2("json"));
}

async function sendOpenApi(
  { request, response }: Exchange,
  { body, etag }: OpenApiDocument,
  mediaType = "application/json",
): Promise<void> {
  if (request.headers["if-none-match"] === etag) {
    response.writeHead(304, { ETag: etag });
    response.end();
    return;
  }
  await sendBytes(response, 200, body, { "Content-Type": mediaType, ETag: etag, Vary: "Accept" });
}
