import { LargeInteger } from "./large-integer.ts";

/** A JSON object, or undefined where `value` is none. */
export function asRecord(value: unknown): Record<string, unknown> | undefined {
  return isRecord(value) ? value : undefined;
}

/** Tells whether `value` is a JSON object: neither null nor a list, nor a number of many digits. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof LargeInteger);
}

/** The elements of a JSON list; of anything else none. */
export function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A string, or undefined where `value` is none. */
export function asString(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** Sets a property as data, whatever its name: `__proto__` becomes an ordinary field. */
export function setField(target: Record<string, unknown>, name: string, value: unknown): void {
  if (name === "__proto__") Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  else target[name] = value;
}

/** A property of the object's own, never one of its prototype's. */
export function getField(target: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(target, name) ? target[name] : undefined;
}

/** A deep copy of a JSON value. */
export function cloneJson<T>(value: T): T {
  if (Array.isArray(value)) return value.map((item: unknown) => cloneJson(item)) as T; // same shape by construction
  if (!isRecord(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) setField(copy, name, cloneJson(field));
  return copy as T; // same shape by construction
}

/** Tells whether two JSON values are equal; the order of an object's fields does not count. */
export function equalJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (Array.isArray(left)) {
    return Array.isArray(right) && left.length === right.length && left.every((item, index) => equalJson(item, right[index]));
  }
  if (left instanceof LargeInteger) return right instanceof LargeInteger && left.text === right.text;
  if (!isRecord(left) || !isRecord(right)) return false;
  const names = Object.keys(left);
  if (names.length !== Object.keys(right).length) return false;
  return names.every((name) => Object.hasOwn(right, name) && equalJson(left[name], right[name]));
}

/** Tells whether lists and objects nest deeper than `limit` levels. Needs no stack of its own, so any input will do. */
export function isDeeperThan(value: unknown, limit: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > limit) return true;
    level = level
      .flatMap((each) => (Array.isArray(each) ? (each as unknown[]) : isRecord(each) ? Object.values(each) : []))
      .filter((each) => Array.isArray(each) || isRecord(each));
  }
  return false;
}

/** A text that is the same for two JSON values if, and only if, they are equal: the key to look one up among many by. */
export function jsonKey(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(jsonKey).join()}]`;
  if (!isRecord(value)) return JSON.stringify(value) ?? "";
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${jsonKey(value[name])}`);
  return `{${members.join()}}`;
}
