import { badRequest, LargeInteger, wholeNumber } from "@peapod/api";
import { StatusError } from "../errors.ts";

/** A request's query, read once with its types. A wrong value is a 400. */
export class Query {
  readonly #values: URLSearchParams;

  constructor(values: URLSearchParams) {
    this.#values = values;
  }

  /** The value; undefined where it is absent or empty. */
  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return value === null || value === "" ? undefined : value;
  }

  /** Whether it is there, with a value or without. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Whether a flag is raised, or might be: never throws. */
  mayBeSet(name: string): boolean {
    return this.has(name) && !["false", "0", "False"].includes(this.#values.get(name) ?? "");
  }

  /** Every value of a repeated parameter. */
  list(name: string): string[] {
    return this.#values.getAll(name);
  }

  /** `true`, `1`, or there without a value. */
  flag(name: string): boolean {
    return this.optionalFlag(name) ?? false;
  }

  optionalFlag(name: string): boolean | undefined {
    const value = this.#values.get(name);
    if (value === null) return undefined;
    if (value === "" || value === "true" || value === "1" || value === "True") return true;
    if (value === "false" || value === "0" || value === "False") return false;
    throw this.#wrong(name, value, "true or false");
  }

  /** A whole number within limits. */
  integer(name: string, minimum = 0): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = Number(value);
    if (!/^[+-]?\d+$/.test(value) || !Number.isSafeInteger(number) || number < minimum)
      throw this.#wrong(name, value, `a whole number from ${minimum}`);
    return number;
  }

  /** A whole number of 64 bits, as a field of an object has it. */
  int64(name: string): number | LargeInteger | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = wholeNumber(text.replace(/^\+/, ""));
    if (value === undefined || (value instanceof LargeInteger && !value.isInt64)) throw this.#wrong(name, text, "a whole number");
    return value;
  }

  /** One of a few words. */
  word<T extends string>(name: string, words: readonly T[]): T | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const word = words.find((candidate) => candidate === value);
    if (word === undefined) throw this.#wrong(name, value, words.join(", "));
    return word;
  }

  #wrong(name: string, value: string, expected: string): StatusError {
    return new StatusError(badRequest(`invalid query parameter ${name}=${JSON.stringify(value)}: expected ${expected}`));
  }
}
