import { suggest } from "./suggest.ts";

/**
 * What a configuration file or the environment says, before it means anything: every scalar is text, whatever YAML would make of it. So
 * `0660` is no decimal number, a user may be called `no` or `1234`, and a variable is read as a line of the file is.
 */
export type Raw = string | RawMap | readonly Raw[];
export type RawMap = ReadonlyMap<string, Raw>;

export type Path = readonly (string | number)[];

/** Something wrong, and where. */
export interface Problem {
  readonly path: Path;
  readonly message: string;
  /** `unknown`: the key at the end of the path; `missing`: it should be there. */
  readonly kind: "value" | "unknown" | "missing";
}

/** Thrown after a problem was reported, where the value cannot be had: by `decode`, and by reading a property that could not be decoded. */
export const unreadable: Error = new Error("A value of the configuration could not be read; the problem was reported");

/** Where in the raw value a decoder stands. */
export class Place {
  readonly path: Path;
  readonly #problems: Problem[];

  constructor(problems: Problem[], path: Path = []) {
    this.#problems = problems;
    this.path = path;
  }

  at(step: string | number): Place {
    return new Place(this.#problems, [...this.path, step]);
  }

  /** Notes a problem here; decoding goes on. */
  report(message: string, kind: Problem["kind"] = "value"): void {
    this.#problems.push({ path: this.path, message, kind });
  }

  /** Notes a problem here, and gives this value up. */
  refuse(message: string, kind: Problem["kind"] = "value"): never {
    this.report(message, kind);
    throw unreadable;
  }
}

/** What a value may look like, for the documents. */
export type Shape =
  | { readonly kind: "scalar"; readonly name: string }
  | { readonly kind: "record"; readonly entries: readonly Entry[] }
  | { readonly kind: "list"; readonly element: Shape }
  | { readonly kind: "variants"; readonly tag: string; readonly of: ReadonlyMap<string, Shape> };

/** One key of a record, for the documents. */
export interface Entry {
  readonly key: string;
  readonly shape: Shape;
  /** In words; "" for none. */
  readonly fallback: string;
  readonly help: string;
}

/** How text, lists and mappings become a value. */
export interface Type<T> {
  readonly shape: Shape;
  /** Throws `unreadable` after it reported why. */
  decode(raw: Raw, place: Place): T;
}

/** One property of a record, from one key or several. */
export interface Field<T> {
  entries(name: string): readonly Entry[];
  /** What is said to someone who gives the property's own name as a key, where that is none; undefined: only that it is unknown. */
  readonly refusal?: (name: string) => string;
  read(map: RawMap, name: string, place: Place): T;
}

/** A text with a meaning: `parse` gives undefined for what is not `expected`. */
export function scalar<T>(options: {
  readonly name: string;
  readonly expected: string;
  readonly parse: (text: string) => T | undefined;
}): Type<T> {
  const { name, expected, parse } = options;
  return {
    shape: { kind: "scalar", name },
    decode: (raw, place) => {
      const value = typeof raw === "string" ? parse(raw) : undefined;
      return value ?? place.refuse(`expected ${expected}${found(raw)}`);
    },
  };
}

/** One of a few words. */
export function oneOf<const T extends string>(words: readonly T[]): Type<T> {
  return {
    shape: { kind: "scalar", name: words.join(", ") },
    decode: (raw, place) => words.find((word) => word === raw) ?? place.refuse(`expected one of ${words.join(", ")}${found(raw, words)}`),
  };
}

/** Several of the same, up to 1,000. */
export function list<T>(element: Type<T>, options: { readonly atLeast: number; readonly of: string }): Type<readonly T[]> {
  return {
    shape: { kind: "list", element: element.shape },
    decode: (raw, place) => {
      if (!Array.isArray(raw)) return place.refuse(`expected a list of ${options.of}${found(raw)}`);
      if (raw.length < options.atLeast) return place.refuse(`expected at least ${options.atLeast} of ${options.of}`, "missing");
      if (raw.length > 1000) return place.refuse(`expected at most 1000 of ${options.of}, found ${raw.length}`);
      const items: T[] = [];
      for (const [index, item] of raw.entries()) defineDecoded(items, index, () => element.decode(item, place.at(index)));
      return items;
    },
  };
}

/** A mapping with known keys. A key that is not one of them is a problem, and says which was probably meant. */
export function record<T extends object>(fields: { readonly [K in keyof T]-?: Field<T[K]> }): Type<T> {
  const all = Object.entries<Field<unknown>>(fields);
  const entries = all.flatMap(([name, field]) => field.entries(name));
  return {
    shape: { kind: "record", entries },
    decode: (raw, place) => {
      if (!(raw instanceof Map))
        return place.refuse(`expected a mapping${found(raw)}; its keys are ${entries.map(({ key }) => key).join(", ")}`);
      const map: RawMap = raw;
      for (const key of map.keys()) {
        if (entries.some((entry) => entry.key === key)) continue;
        const refusal = all.find(([name]) => name === key)?.[1].refusal;
        place.at(key).report(refusal?.(key) ?? unknownKey(key, entries), "unknown");
      }
      const value = {};
      for (const [name, field] of all) defineDecoded(value, name, () => field.read(map, name, place));
      return value as T; // each property of T was defined by its Field above
    },
  };
}

/** A mapping whose `tag` says which keys the others are. */
export function variants<T>(tag: string, of: Readonly<Record<string, Type<T>>>): Type<T> {
  const names = Object.keys(of);
  return {
    shape: { kind: "variants", tag, of: new Map(Object.entries(of).map(([name, { shape }]) => [name, shape])) },
    decode: (raw, place) => {
      if (!(raw instanceof Map)) return place.refuse(`expected a mapping${found(raw)}`);
      const map: RawMap = raw;
      const name = map.get(tag);
      if (name === undefined) return place.at(tag).refuse(`is missing: one of ${names.join(", ")}`, "missing");
      const type = typeof name === "string" && Object.hasOwn(of, name) ? of[name] : undefined;
      if (type === undefined) return place.at(tag).refuse(`expected one of ${names.join(", ")}${found(name, names)}`);
      return type.decode(map, place);
    },
  };
}

/** `, found "x"`, and what was probably meant. Says nothing of a text with an @: it may be a URL with a password in it. */
function found(raw: Raw, known: readonly string[] = []): string {
  if (typeof raw !== "string") return raw instanceof Map ? ", found a mapping" : ", found a list";
  if (raw.includes("@")) return "";
  const shown = raw.length > 60 ? `${raw.slice(0, 60)}…` : raw;
  const meant = suggest(raw, known);
  return `, found ${JSON.stringify(shown)}${meant === undefined ? "" : `; did you mean ${meant}?`}`;
}

function unknownKey(key: string, entries: readonly Entry[]): string {
  const known = entries.map((entry) => entry.key);
  const meant = suggest(key, known);
  return `unknown key; ${meant === undefined ? `known here: ${known.join(", ")}` : `did you mean ${meant}?`}`;
}

/** Defines what `read` gives, or, where that could not be read, a property that throws `unreadable` again. */
function defineDecoded(target: object, name: string | number, read: () => unknown): void {
  try {
    Object.defineProperty(target, name, { value: read(), enumerable: true, configurable: true, writable: true });
  } catch (cause) {
    if (cause !== unreadable) throw cause;
    const get = (): never => {
      throw unreadable;
    };
    Object.defineProperty(target, name, { get, enumerable: true, configurable: true });
  }
}
