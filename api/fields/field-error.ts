import { isRecord } from "../values/json.ts";

/** The kinds of broken rules, with upstream's words for a Status cause. */
export type FieldErrorType =
  | "FieldValueRequired"
  | "FieldValueInvalid"
  | "FieldValueTypeInvalid"
  | "FieldValueNotSupported"
  | "FieldValueDuplicate"
  | "FieldValueNotFound"
  | "FieldValueForbidden"
  | "FieldValueTooLong"
  | "FieldValueTooMany";

/** One rule that one field breaks. `message` is `field: detail`, `detail` begins with the kind of error, such as `Required value`. */
export interface FieldError {
  readonly type: FieldErrorType;
  readonly field: string;
  readonly detail: string;
  readonly message: string;
}

/** The field must have a value. */
export function required(field: string, why = ""): FieldError {
  return make("FieldValueRequired", field, "Required value", why);
}

/** The value breaks the rule that `why` says. */
export function invalid(field: string, value: unknown, why: string): FieldError {
  return make("FieldValueInvalid", field, `Invalid value: ${show(value)}`, why);
}

/** The value is none of those known. */
export function unsupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  const list = supported.map((item) => JSON.stringify(item)).join(", ");
  return make(
    "FieldValueNotSupported",
    field,
    `Unsupported value: ${show(value)}`,
    supported.length === 0 ? "" : `supported values: ${list}`,
  );
}

/** The same value was there before. */
export function duplicate(field: string, value: unknown): FieldError {
  return make("FieldValueDuplicate", field, `Duplicate value: ${show(value)}`, "");
}

/** The value names something that is not there. */
export function missing(field: string, value: unknown): FieldError {
  return make("FieldValueNotFound", field, `Not found: ${show(value)}`, "");
}

/** The field may not be there, or not change. */
export function prohibited(field: string, why: string): FieldError {
  return make("FieldValueForbidden", field, "Forbidden", why);
}

/** The value has more than `limitBytes`. */
export function tooLong(field: string, limitBytes: number): FieldError {
  return make("FieldValueTooLong", field, "Too long", `may not be more than ${limitBytes} bytes`);
}

function make(type: FieldErrorType, field: string, kind: string, why: string): FieldError {
  const detail = why === "" ? kind : `${kind}: ${why}`;
  return { type, field, detail, message: `${field}: ${detail}` };
}

function show(value: unknown): string {
  if (value === undefined || value === null) return "null";
  return isRecord(value) || Array.isArray(value) || typeof value === "string" ? JSON.stringify(value) : `${value as number}`;
}
