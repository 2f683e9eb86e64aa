import table from "../schema-table.json" with { type: "json" };

/** What the schema knows of one field, list item or map value. */
export interface FieldSchema {
  readonly scalar?: "string" | "numeric" | "boolean" | "untyped";
  readonly format?: "int32" | "int64" | "double" | "byte" | "date-time" | "date-time-micro" | "quantity" | "int-or-string" | "object";
  /** The full name of another type of the table. */
  readonly ref?: string;
  readonly list?: FieldSchema;
  readonly map?: FieldSchema;
  readonly enum?: readonly string[];
  readonly required?: boolean;
  readonly default?: unknown;
  readonly listType?: "map" | "set" | "atomic";
  readonly listMapKeys?: readonly string[];
  readonly mapType?: "atomic" | "granular" | "separable";
  readonly patchMergeKey?: string;
  /** `merge`, `replace`, `retainKeys`, or two of them with a comma between. */
  readonly patchStrategy?: string;
  readonly featureGate?: string;
}

/** What the schema knows of a type; without `fields` it is a scalar by another name, such as Quantity. */
export interface TypeSchema extends FieldSchema {
  readonly fields?: Readonly<Record<string, FieldSchema>>;
  readonly kind?: { readonly group: string; readonly version: string; readonly kind: string };
}

const types: Readonly<Record<string, TypeSchema>> = table.types as unknown as Record<string, TypeSchema>; // facts we wrote down ourselves, checked by schema.test.ts

/** The type of this full name, such as `io.k8s.api.core.v1.Pod`. */
export function typeSchema(typeName: string): TypeSchema | undefined {
  return Object.hasOwn(types, typeName) ? types[typeName] : undefined;
}

/** The full names of every type of the table. */
export function typeNames(): string[] {
  return Object.keys(types);
}

/** A type's field. */
export function fieldSchema(typeName: string, field: string): FieldSchema | undefined {
  const fields = typeSchema(typeName)?.fields;
  return fields !== undefined && Object.hasOwn(fields, field) ? fields[field] : undefined;
}

/** Follows references to scalars (Quantity, Time): gives a schema that says itself what the value looks like, or refers to a type with fields. */
export function resolveSchema(schema: FieldSchema): FieldSchema {
  if (schema.ref === undefined) return schema;
  const type = typeSchema(schema.ref);
  return type === undefined || type.fields !== undefined ? schema : { ...type, ...withoutRef(schema) };
}

/** The full name of a type that serves `kind` at `apiVersion` (`v1`, `coordination.k8s.io/v1`). */
export function typeNameOfKind(apiVersion: string, kind: string): string | undefined {
  return byKind().get(`${apiVersion}, ${kind}`);
}

let kinds: Map<string, string> | undefined; // a cache of a pure function, filled at first use

function byKind(): Map<string, string> {
  if (kinds !== undefined) return kinds;
  kinds = new Map();
  for (const [name, { kind }] of Object.entries(types)) {
    if (kind !== undefined) kinds.set(`${kind.group === "" ? "" : `${kind.group}/`}${kind.version}, ${kind.kind}`, name);
  }
  return kinds;
}

function withoutRef({ ref: _ref, ...rest }: FieldSchema): FieldSchema {
  return rest;
}
