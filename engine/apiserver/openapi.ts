import { createHash } from "node:crypto";
import { resources } from "@peapod/api";
import { groupVersion } from "./object-key.ts";
import { openApiPaths } from "./openapi-paths.ts";
import { openApiSchemas } from "./openapi-schemas.ts";

/** A document as it is sent, and its hash. */
export interface OpenApiDocument {
  readonly body: Buffer;
  readonly etag: string;
}

/** The OpenAPI documents of what is served, each made when it is first asked for. */
export class OpenApi {
  readonly #documents = new Map<string, OpenApiDocument>();

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
    const paths = openApiPaths(version, served);
    const components = { schemas: openApiSchemas(served.map(({ typeName }) => typeName)) };
    const body = Buffer.from(JSON.stringify({ openapi: "3.0.0", info: { title: "Kubernetes", version: "v1.36.0" }, paths, components }));
    const document = { body, etag: `"${createHash("sha256").update(body).digest("hex").slice(0, 32).toUpperCase()}"` };
    this.#documents.set(version, document);
    return document;
  }
}
