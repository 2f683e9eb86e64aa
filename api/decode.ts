import { formatPath, type PathSegments } from "./field-path.ts";
import { isRecord, setField } from "./json.ts";
import { quantityRule, canonicalQuantity } from "./quantity.ts";
import { type FieldSchema, fieldSchema, resolveSchema, typeSchema } from "./schema.ts";
import { nearestName } from "./suggest.ts";

/** One way in which a value is not what its type says. */
export interface Problem {
  readonly kind: "unknown" | "type" | "enum" | "missing" | "format";
  /** `spec.containers[1].imagePullPolcy` */
  readonly path: string;
  readonly pathSegments: readonly (string | number)[];
  /** Without the path: `unknown field, did you mean imagePullPolicy?` */
  readonly message: string;
}

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
 * `missing` and `enum` leave the value as it is: a server that validates finds them again, in upstream's words.
 */
export function decode(value: unknown, typeName: string): Decoded {
  const problems: Problem[] = [];
  const report = (kind: Problem["kind"], pathSegments: PathSegments, message: string): void => {
    if (problems.length < MOST_PROBLEMS) problems.push({ kind, path: formatPath(pathSegments), pathSegments: [...pathSegments], message });
  };
  const type = typeSchema(typeName);
  if (type === undefined) {
    report("type", [], `unknown type ${typeName}`);
    return { value: undefined, problems };
  }
  const decoded = decodeValue(value, { ref: typeName }, [], { report, root: typeName });
  return { value: decoded, problems };
}

interface Reading {
  readonly report: (kind: Problem["kind"], path: PathSegments, message: string) => void;
  readonly root: string;
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
    if (schema === undefined) reading.report("unknown", memberPath, unknownField(name, typeName, path, reading.root));
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
  if (!isRecord(value)) return isJsonScalar(value) ? value : undefined;
  const result: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    const decoded = decodeAny(member, [...path, name], reading);
    if (decoded !== undefined) setField(result, name, decoded);
  }
  return result;
}

function decodeScalar(value: unknown, schema: FieldSchema, path: PathSegments, reading: Reading): unknown {
  if (schema.format === "quantity") return decodeQuantity(value, path, reading);
  if (schema.format === "int-or-string") {
    if (typeof value === "string" || isInteger(value, "int32")) return value;
    return mistyped(value, "a whole number or a string", path, reading);
  }
  if (schema.scalar === "boolean") return typeof value === "boolean" ? value : mistyped(value, "true or false", path, reading);
  if (schema.scalar === "numeric") {
    if (schema.format === "double" ? typeof value === "number" : isInteger(value, schema.format)) return value;
    return mistyped(value, schema.format === "double" ? "a number" : `a whole number (${schema.format ?? "int64"})`, path, reading);
  }
  if (typeof value !== "string") return mistyped(value, "a string", path, reading);
  return decodeString(value, schema, path, reading);
}

function decodeString(value: string, schema: FieldSchema, path: PathSegments, reading: Reading): string | undefined {
  if (schema.format === "byte" && !isBase64(value)) {
    reading.report("format", path, "wants base64 (of the bytes that are meant), and this is not: use stringData for plain text");
    return undefined;
  }
  if ((schema.format === "date-time" || schema.format === "date-time-micro") && !isTime(value)) {
    reading.report("format", path, `wants a time such as 2006-01-02T15:04:05Z, found ${show(value)}`);
    return undefined;
  }
  if (schema.enum !== undefined && value !== "" && !schema.enum.includes(value)) {
    const near = nearestName(value, schema.enum);
    const rest = schema.enum.length > 12 ? "" : ` (one of ${schema.enum.filter((each) => each !== "").join(", ")})`;
    reading.report("enum", path, `unknown value ${show(value)}${near === undefined ? "" : `, did you mean ${near}?`}${rest}`);
  }
  return value;
}

function decodeQuantity(value: unknown, path: PathSegments, reading: Reading): unknown {
  if (typeof value !== "string" && typeof value !== "number") return mistyped(value, "a quantity such as 500m or 64Mi", path, reading);
  const canonical = canonicalQuantity(String(value).trim());
  if (canonical === undefined) reading.report("format", path, `wants a quantity such as 500m or 64Mi, found ${show(value)}: ${quantityRule}`);
  return canonical;
}

function mistyped(value: unknown, wanted: string, path: PathSegments, reading: Reading): undefined {
  const quoting = typeof value !== "string" && wanted === "a string" && isJsonScalar(value) ? `: write "${String(value)}" in quotes` : "";
  reading.report("type", path, `wants ${wanted}, found ${describe(value)}${quoting}`);
  return undefined;
}

/** Names the nearest field of the type itself, else the place where a field of that very name belongs. */
function unknownField(name: string, typeName: string, path: PathSegments, root: string): string {
  const candidates = Object.keys(typeSchema(typeName)?.fields ?? {});
  const near = nearestName(name, candidates);
  if (near !== undefined) return `unknown field, did you mean ${near}?`;
  const elsewhere = placeOf(name, root, path);
  return elsewhere === undefined ? "unknown field" : `unknown field, ${name} belongs to ${elsewhere}`;
}

/** The shallowest place under `root` that has a field of this name, such as `spec.containers[]`; what is read (`status`) is no place to write. */
function placeOf(name: string, root: string, path: PathSegments): string | undefined {
  const here = path.map((segment) => (typeof segment === "number" ? "[]" : segment)).join(".").replaceAll(".[]", "[]");
  const seen = new Set<string>();
  const waiting: { typeName: string; at: string }[] = [{ typeName: root, at: "" }];
  for (let next = waiting.shift(); next !== undefined && seen.size < 40; next = waiting.shift()) {
    const { typeName, at } = next;
    if (seen.has(typeName)) continue;
    seen.add(typeName);
    if (at !== here && fieldSchema(typeName, name) !== undefined) return at === "" ? "the top level" : at;
    for (const [field, schema] of Object.entries(typeSchema(typeName)?.fields ?? {})) {
      const ref = schema.ref ?? schema.list?.ref;
      if (ref === undefined || field === "status" || field === "ephemeralContainers" || field === "managedFields") continue;
      waiting.push({ typeName: ref, at: `${at === "" ? "" : `${at}.`}${field}${schema.list === undefined ? "" : "[]"}` });
    }
  }
  return undefined;
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

function isInteger(value: unknown, format: FieldSchema["format"]): boolean {
  if (!Number.isInteger(value)) return false;
  const size = Math.abs(Number(value));
  return format === "int32" ? size <= 2 ** 31 - (Number(value) >= 0 ? 1 : 0) : size <= 2 ** 63;
}

function isBase64(text: string): boolean {
  const plain = text.replaceAll(/[\r\n]/g, "");
  return plain.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(plain);
}

function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text));
}

function isJsonScalar(value: unknown): boolean {
  return value === null || ["string", "number", "boolean"].includes(typeof value);
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (isRecord(value)) return "an object";
  if (typeof value === "string") return `the string ${show(value)}`;
  if (typeof value === "number") return `the number ${value}`;
  return value === null || typeof value === "boolean" ? String(value) : `a ${typeof value}`;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
