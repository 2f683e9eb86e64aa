import { type FieldSchema, typeSchema } from "@peapod/api";

type Schema = Record<string, unknown>;

/** The schemas of these types and of all that they refer to, from the schema table. */
export function openApiSchemas(typeNames: readonly string[]): Record<string, Schema> {
  const schemas: Record<string, Schema> = {
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch": {
      type: "object",
      description: "A change to an object, in the form that the Content-Type says.",
    },
  };
  const waiting = [...typeNames];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (schemas[name] === undefined) schemas[name] = typeToSchema(name, (next) => waiting.push(next));
  }
  return schemas;
}

function typeToSchema(name: string, reach: (name: string) => void): Schema {
  const type = typeSchema(name);
  if (type === undefined) return { type: "object" };
  if (type.fields === undefined) return fieldToSchema(type, reach);
  const properties = Object.fromEntries(Object.entries(type.fields).map(([field, schema]) => [field, fieldToSchema(schema, reach)]));
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

function fieldToSchema(field: FieldSchema, reach: (name: string) => void): Schema {
  const { default: fallback, enum: values } = field;
  return {
    ...shape(field, reach),
    ...(fallback === undefined ? {} : { default: fallback }),
    ...(values === undefined ? {} : { enum: values }),
    ...extensions(field),
  };
}

function shape(field: FieldSchema, reach: (name: string) => void): Schema {
  if (field.ref !== undefined) {
    reach(field.ref);
    return { allOf: [{ $ref: `#/components/schemas/${field.ref}` }] }; // beside a bare $ref nothing else counts
  }
  if (field.list !== undefined) return { type: "array", items: fieldToSchema(field.list, reach) };
  if (field.map !== undefined) return { type: "object", additionalProperties: fieldToSchema(field.map, reach) };
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
      return { oneOf: [{ type: "string" }, { type: "number" }] };
    case "int-or-string":
      return { oneOf: [{ type: "integer" }, { type: "string" }], format: "int-or-string" };
    case "object":
      return { type: "object" };
    case undefined:
    default:
      return { type: plainTypes[field.scalar ?? "untyped"] };
  }
}

const plainTypes = { string: "string", numeric: "number", boolean: "boolean", untyped: "object" } as const;

function extensions({ listType, listMapKeys, mapType, patchStrategy, patchMergeKey }: FieldSchema): Schema {
  return {
    ...(listType === undefined ? {} : { "x-kubernetes-list-type": listType }),
    ...(listMapKeys === undefined ? {} : { "x-kubernetes-list-map-keys": listMapKeys }),
    ...(mapType === "atomic" || mapType === "granular" ? { "x-kubernetes-map-type": mapType } : {}),
    ...(patchStrategy === undefined ? {} : { "x-kubernetes-patch-strategy": patchStrategy }),
    ...(patchMergeKey === undefined ? {} : { "x-kubernetes-patch-merge-key": patchMergeKey }),
  };
}
