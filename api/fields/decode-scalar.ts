import type { Reading } from "./reading.ts";
import type { PathSegments } from "./field-path.ts";
import { isRecord } from "../values/json.ts";
import { LargeInteger } from "../values/large-integer.ts";
import { canonicalQuantity, quantityRule } from "../values/quantity.ts";
import type { FieldSchema } from "./schema.ts";
import { nearestName } from "./suggest.ts";

/** A scalar as its schema wants it, or undefined where it is of the wrong type or form and so left out. */
export function decodeScalar(value: unknown, schema: FieldSchema, path: PathSegments, reading: Reading): unknown {
  if (schema.format === "quantity") return decodeQuantity(value, path, reading);
  if (schema.format === "int-or-string") {
    if (typeof value === "string" || isInteger(value, "int32")) return value;
    return mistyped(value, "a whole number or a string", path, reading);
  }
  if (schema.scalar === "boolean") return typeof value === "boolean" ? value : mistyped(value, "true or false", path, reading);
  if (schema.scalar === "numeric") {
    if (schema.format !== "double" && isInteger(value, schema.format)) return value;
    if (schema.format === "double" && isNumber(value)) return Number(value);
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
  if (typeof value !== "string" && !isNumber(value)) return mistyped(value, "a quantity such as 500m or 64Mi", path, reading);
  const canonical = canonicalQuantity(String(value).trim());
  if (canonical === undefined)
    reading.report("format", path, `wants a quantity such as 500m or 64Mi, found ${show(value)}: ${quantityRule}`);
  return canonical;
}

/** Reports a value of the wrong type, naming what is wanted and what was found. */
export function mistyped(value: unknown, wanted: string, path: PathSegments, reading: Reading): undefined {
  const source = reading.sourceOf(path);
  const isUnquoted = typeof value !== "string" && wanted === "a string" && isJsonScalar(value);
  const quoting = !isUnquoted ? "" : source === undefined ? ": write it in quotes" : `: write "${source}" in quotes`;
  reading.report("type", path, `wants ${wanted}, found ${describe(value, source)}${quoting}`);
  return undefined;
}

function isInteger(value: unknown, format: FieldSchema["format"]): boolean {
  if (value instanceof LargeInteger) return format !== "int32" && value.isInt64;
  if (!Number.isSafeInteger(value)) return false;
  return format !== "int32" || Math.abs(Number(value)) <= 2 ** 31 - (Number(value) >= 0 ? 1 : 0);
}

function isNumber(value: unknown): value is number | LargeInteger {
  return typeof value === "number" || value instanceof LargeInteger;
}

function isBase64(text: string): boolean {
  const plain = text.replaceAll(/[\r\n]/g, "");
  return plain.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(plain);
}

function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text));
}

function isJsonScalar(value: unknown): boolean {
  return value === null || isNumber(value) || ["string", "boolean"].includes(typeof value);
}

/** The value in words, by what was written for it where that is known. */
function describe(value: unknown, source: string | undefined): string {
  if (Array.isArray(value)) return "a list";
  if (isRecord(value)) return "an object";
  if (typeof value === "string") return `the string ${show(value)}`;
  if (isNumber(value)) return `the number ${source ?? String(value)}`;
  if (value !== null && typeof value !== "boolean") return `a ${typeof value}`;
  return source === undefined || source === String(value) ? String(value) : `${source}, which is ${String(value)} in YAML`;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
