import { decodeScalar, mistyped } from "./decode-scalar.ts";
import { formatPath, type PathSegments } from "./field-path.ts";
import { isRecord, setField } from "../values/json.ts";
import type { Problem, Reading } from "./reading.ts";
import { type FieldSchema, fieldSchema, resolveSchema, typeSchema } from "./schema.ts";
import { unknownField } from "./unknown-field.ts";

/** A value as its type wants it, and what was wrong with it. */
export interface Decoded {
  readonly value: unknown;
  readonly problems: readonly Problem[];
}

const DEEPEST = 64; // no type of the API nests this far but by fieldsV1 and raw extensions
const MOST_PROBLEMS = 100;

/**
 * Reads a JSON value as a type of the schema table. Never throws.
 * Gives a deep copy without null fields and with canonical quantities; unknown fields are left out of it, mistyped ones too.
 * With `sourceOf`, messages quote a scalar as it was written. `missing` and `enum` leave the value as it is: a server that validates finds them again, in upstream's words.
 */
export function decode(value: unknown, typeName: string, sourceOf: Reading["sourceOf"] = () => undefined): Decoded {
  const problems: Problem[] = [];
  const report: Reading["report"] = (kind, pathSegments, message) => {
    if (problems.length >= MOST_PROBLEMS) return;
    problems.push({ kind, path: formatPath(pathSegments), pathSegments, message: typeof message === "string" ? message : message() });
  };
  const type = typeSchema(typeName);
  if (type === undefined) {
    report("type", [], `unknown type ${typeName}`);
    return { value: undefined, problems };
  }
  const decoded = decodeValue(value, { ref: typeName }, [], { report, sourceOf, root: typeName });
  return { value: decoded, problems };
}

/** The value, or undefined where it is of the wrong type and so left out. */
function decodeValue(value: unknown, given: FieldSchema, path: PathSegments, reading: Reading): unknown {
  const schema = resolveSchema(given);
  if (path.length > DEEPEST) {
    reading.report("type", path, "nested too deeply");
    return undefined;
  }
  if (schema.format === "object" || isUntyped(schema)) return decodeAny(value, path, reading);
  if (schema.list !== undefined) return decodeList(value, schema.list, path, reading);
  if (schema.map !== undefined) return decodeMap(value, schema.map, path, reading);
  if (schema.ref !== undefined) return decodeFields(value, schema.ref, path, reading);
  return decodeScalar(value, schema, path, reading);
}

function decodeFields(value: unknown, typeName: string, path: PathSegments, reading: Reading): unknown {
  if (!isRecord(value)) return mistyped(value, "an object", path, reading);
  const fields = typeSchema(typeName)?.fields ?? {};
  const result: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    const schema = fieldSchema(typeName, name);
    const memberPath = [...path, name];
    if (schema === undefined) reading.report("unknown", memberPath, () => unknownField(name, typeName, path, reading.root));
    else if (member !== null) {
      const decoded = decodeValue(member, schema, memberPath, reading);
      if (decoded !== undefined) setField(result, name, decoded);
    }
  }
  for (const [name, { required }] of Object.entries(fields)) {
    if (required === true && (value[name] === undefined || value[name] === null) && !hasOmittableZero(typeName, name)) {
      reading.report("missing", [...path, name], "required field is missing");
    }
  }
  return result;
}

function decodeList(value: unknown, item: FieldSchema, path: PathSegments, reading: Reading): unknown {
  if (!Array.isArray(value)) return mistyped(value, "a list", path, reading);
  const result: unknown[] = [];
  for (const [index, member] of value.entries()) {
    const decoded = member === null ? zeroOf(item) : decodeValue(member, item, [...path, index], reading);
    if (decoded !== undefined) result.push(decoded);
  }
  return result;
}

function decodeMap(value: unknown, item: FieldSchema, path: PathSegments, reading: Reading): unknown {
  if (!isRecord(value)) return mistyped(value, "a map", path, reading);
  const result: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    const decoded = member === null ? zeroOf(item) : decodeValue(member, item, [...path, name], reading);
    if (decoded !== undefined) setField(result, name, decoded);
  }
  return result;
}

/** A copy of free JSON, as deep as is allowed. */
function decodeAny(value: unknown, path: PathSegments, reading: Reading): unknown {
  if (path.length > DEEPEST) {
    reading.report("type", path, "nested too deeply");
    return undefined;
  }
  if (Array.isArray(value)) return value.map((member, index) => decodeAny(member, [...path, index], reading) ?? null);
  if (!isRecord(value)) return value;
  const result: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    const decoded = decodeAny(member, [...path, name], reading);
    if (decoded !== undefined) setField(result, name, decoded);
  }
  return result;
}

/** Go leaves a null list item or map value at its type's zero value. */
function zeroOf(item: FieldSchema): unknown {
  const schema = resolveSchema(item);
  if (schema.list !== undefined) return [];
  if (schema.map !== undefined || schema.ref !== undefined) return {};
  if (schema.format === "quantity") return "0";
  return schema.scalar === "numeric" ? 0 : schema.scalar === "boolean" ? false : schema.scalar === "untyped" ? null : "";
}

function isUntyped({ scalar, format, ref, list, map }: FieldSchema): boolean {
  if (scalar === "untyped") return format === undefined;
  return [scalar, format, ref, list, map].every((form) => form === undefined);
}

/** Fields that the table calls required and that clients rightly leave out. */
function hasOmittableZero(typeName: string, field: string): boolean {
  return typeName.endsWith(".Event") || (typeName.endsWith(".ContainerStatus") && field !== "name");
}
