import { createHash } from "node:crypto";
import { groupVersion, resources } from "@peapod/api";
import { openApiV2, openApiV3 } from "./openapi-dialect.ts";
import { openApiPaths } from "./openapi-paths.ts";
import { openApiProtobuf } from "./openapi-protobuf.ts";
import { openApiSchemas } from "./openapi-schemas.ts";

/** A document as it is sent, and its hash. */
export interface OpenApiDocument {
  readonly body: Buffer;
  readonly etag: string;
}

/** The OpenAPI documents of what is served, each made when it is first asked for. */
export class OpenApi {
  readonly #documents = new Map<string, OpenApiDocument>();
  readonly #v2 = new Map<"json" | "protobuf", OpenApiDocument>();

  /** /openapi/v3: where the document of each group and version is. The hash in the address lets clients keep it. */
  index(): unknown {
    const versions = [...new Set(resources.map(groupVersion))];
    const paths = versions.map((version) => {
      const path = `${version.includes("/") ? "apis" : "api"}/${version}`;
      return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${this.document(version).etag.replaceAll('"', "")}` }];
    });
    return { paths: Object.fromEntries(paths) };
  }

  /** /openapi/v3/...: the paths of a group and version, and the schemas of what they take and give. */
  document(version: string): OpenApiDocument {
    const known = this.#documents.get(version);
    if (known !== undefined) return known;
    const served = resources.filter((resource) => groupVersion(resource) === version);
    const paths = openApiPaths(version, served, openApiV3);
    const schemas = openApiSchemas(
      served.map(({ typeName }) => typeName),
      openApiV3,
    );
    const document = asSent(Buffer.from(JSON.stringify({ openapi: "3.0.0", info, paths, components: { schemas } })));
    this.#documents.set(version, document);
    return document;
  }

  /** /openapi/v2: all in one document. kubectl reads it for a `kind: List`, whose items it validates itself, and only in protobuf. */
  v2(form: "json" | "protobuf"): OpenApiDocument {
    const known = this.#v2.get(form);
    if (known !== undefined) return known;
    const versions = Map.groupBy(resources, groupVersion);
    const paths = Object.assign({}, ...[...versions].map(([version, served]) => openApiPaths(version, served, openApiV2))) as object;
    const definitions = openApiSchemas(
      resources.map(({ typeName }) => typeName),
      openApiV2,
    );
    const content = { swagger: "2.0", info, paths, definitions };
    const document = asSent(form === "json" ? Buffer.from(JSON.stringify(content)) : openApiProtobuf(content));
    this.#v2.set(form, document);
    return document;
  }
}

const info = { title: "Kubernetes", version: "v1.36.0" };

function asSent(body: Buffer): OpenApiDocument {
  return { body, etag: `"${createHash("sha256").update(body).digest("hex").slice(0, 32).toUpperCase()}"` };
}
