import { getField, isRecord } from "../values/json.ts";

/** The value at a path such as `status.phase`, as a text; "" where there is none. */
export function readFieldPath(object: object, path: string): string {
  let value: unknown = object;
  for (const name of path.split(".")) value = isRecord(value) ? getField(value, name) : undefined;
  return typeof value === "string" || typeof value === "boolean" || typeof value === "number" ? String(value) : "";
}
