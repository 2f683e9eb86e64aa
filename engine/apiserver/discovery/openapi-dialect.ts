import type { Resource } from "@peapod/api";

/** A schema as it stands in a document. */
export type OpenApiSchema = Readonly<Record<string, unknown>>;

/** What one can do with a resource. */
export type OpenApiVerb = "list" | "get" | "post" | "put" | "patch" | "delete" | "deletecollection";

/** An operation, before it is known in which version's words it will be said. */
export interface OpenApiOperation {
  readonly resource: Resource;
  readonly verb: OpenApiVerb;
  /** The names of its query parameters. */
  readonly query: readonly string[];
  /** What it takes, and as which media types. */
  readonly takes?: { readonly mediaTypes: readonly string[]; readonly schema: OpenApiSchema };
  readonly gives: OpenApiSchema;
}

/** What differs between the versions of OpenAPI. */
export interface OpenApiDialect {
  /** Refers to a type, where nothing else is said of it. */
  reference(typeName: string): OpenApiSchema;
  /** Refers to a type in a field, where more may be said. */
  fieldReference(typeName: string): OpenApiSchema;
  readonly quantity: OpenApiSchema;
  readonly intOrString: OpenApiSchema;
  parameter(place: "path" | "query", name: string): unknown;
  operation(operation: OpenApiOperation): unknown;
}

/** The words of version 3.0. */
export const openApiV3: OpenApiDialect = {
  reference: (typeName) => ({ $ref: `#/components/schemas/${typeName}` }),
  fieldReference: (typeName) => ({ allOf: [openApiV3.reference(typeName)] }), // beside a bare $ref nothing else counts
  quantity: { oneOf: [{ type: "string" }, { type: "number" }] },
  intOrString: { oneOf: [{ type: "integer" }, { type: "string" }], format: "int-or-string" },
  parameter: (place, name) => ({ name, in: place, ...needed(place), schema: { type: "string", uniqueItems: true } }),
  operation: (operation) => {
    const { takes, gives, query } = operation;
    const content = Object.fromEntries(takes?.mediaTypes.map((type) => [type, { schema: takes.schema }]) ?? []);
    return {
      ...common(operation),
      parameters: query.map((name) => openApiV3.parameter("query", name)),
      ...(takes === undefined ? {} : { requestBody: { content, required: true } }),
      responses: { "200": { description: "OK", content: { "application/json": { schema: gives } } } },
    };
  },
};

/** The words of version 2, also called Swagger. */
export const openApiV2: OpenApiDialect = {
  reference: (typeName) => ({ $ref: `#/definitions/${typeName}` }),
  fieldReference: (typeName) => openApiV2.reference(typeName),
  quantity: { type: "string" }, // clients let numbers pass as strings
  intOrString: { type: "string", format: "int-or-string" },
  parameter: (place, name) => ({ name, in: place, ...needed(place), type: "string", uniqueItems: true }),
  operation: (operation) => {
    const { takes, gives, query } = operation;
    const body = takes === undefined ? [] : [{ name: "body", in: "body", required: true, schema: takes.schema }];
    return {
      ...common(operation),
      consumes: takes?.mediaTypes ?? ["*/*"],
      produces: ["application/json"],
      parameters: [...body, ...query.map((name) => openApiV2.parameter("query", name))],
      responses: { "200": { description: "OK", schema: gives } },
    };
  },
};

function needed(place: "path" | "query"): { required?: true } {
  return place === "path" ? { required: true } : {};
}

function common({ resource: { group, version, kind }, verb }: OpenApiOperation): object {
  return { operationId: `${verb}${kind}`, "x-kubernetes-action": verb, "x-kubernetes-group-version-kind": { group, kind, version } };
}
