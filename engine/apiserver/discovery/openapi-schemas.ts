import { type FieldSchema, typeSchema } from "@peapod/api";
import type { OpenApiDialect, OpenApiSchema } from "./openapi-dialect.ts";

/** The schemas of these types and of all that they refer to, from the schema table. */
export function openApiSchemas(typeNames: readonly string[], dialect: OpenApiDialect): Record<string, OpenApiSchema> {
  const schemas: Record<string, OpenApiSchema> = {
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch": {
      type: "object",
      description: "A change to an object, in the form that the Content-Type says.",
    },
  };
  const waiting = [...typeNames];
  const words: Words = {
    ...dialect,
    fieldReference: (name) => {
      waiting.push(name);
      return dialect.fieldReference(name);
    },
  };
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) schemas[name] ??= typeToSchema(name, words);
  return schemas;
}

type Words = Pick<OpenApiDialect, "fieldReference" | "quantity" | "intOrString">;

function typeToSchema(name: string, words: Words): OpenApiSchema {
  const type = typeSchema(name);
  if (type === undefined) return { type: "object" };
  if (type.fields === undefined) return fieldToSchema(type, words);
  const properties = Object.fromEntries(Object.entries(type.fields).map(([field, schema]) => [field, fieldToSchema(schema, words)]));
  const required = Object.entries(type.fields)
    .filter(([, schema]) => schema.required === true)
    .map(([field]) => field);
  return {
    type: "object",
    properties,
    ...(required.length === 0 ? {} : { required }),
    ...(type.kind === undefined ? {} : { "x-kubernetes-group-version-kind": [type.kind] }),
  };
}

function fieldToSchema(field: FieldSchema, words: Words): OpenApiSchema {
  const { default: fallback, enum: values } = field;
  return {
    ...shape(field, words),
    ...(fallback === undefined ? {} : { default: fallback }),
    ...(values === undefined ? {} : { enum: values }),
    ...extensions(field),
  };
}

function shape(field: FieldSchema, words: Words): OpenApiSchema {
  if (field.ref !== undefined) return words.fieldReference(field.ref);
  if (field.list !== undefined) return { type: "array", items: fieldToSchema(field.list, words) };
  if (field.map !== undefined) return { type: "object", additionalProperties: fieldToSchema(field.map, words) };
  switch (field.format) {
    case "int32":
    case "int64":
      return { type: "integer", format: field.format };
    case "double":
      return { type: "number", format: "double" };
    case "byte":
    case "date-time":
      return { type: "string", format: field.format };
    case "date-time-micro":
      return { type: "string", format: "date-time" };
    case "quantity":
      return words.quantity;
    case "int-or-string":
      return words.intOrString;
    case "object":
      return { type: "object" };
    case undefined:
    default:
      return { type: plainTypes[field.scalar ?? "untyped"] };
  }
}

const plainTypes = { string: "string", numeric: "number", boolean: "boolean", untyped: "object" } as const;

function extensions({ listType, listMapKeys, mapType, patchStrategy, patchMergeKey }: FieldSchema): OpenApiSchema {
  return {
    ...(listType === undefined ? {} : { "x-kubernetes-list-type": listType }),
    ...(listMapKeys === undefined ? {} : { "x-kubernetes-list-map-keys": listMapKeys }),
    ...(mapType === "atomic" || mapType === "granular" ? { "x-kubernetes-map-type": mapType } : {}),
    ...(patchStrategy === undefined ? {} : { "x-kubernetes-patch-strategy": patchStrategy }),
    ...(patchMergeKey === undefined ? {} : { "x-kubernetes-patch-merge-key": patchMergeKey }),
  };
}
