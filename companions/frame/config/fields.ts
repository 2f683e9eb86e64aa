import type { SecretSource } from "../credentials/secret.ts";
import type { Field, Place, Raw, RawMap, Type } from "./decode.ts";
import { absolutePath, text } from "./scalars.ts";

/** What every field says of itself. `key` is its name in the YAML, where that is another than the property's. */
interface Description<T> {
  readonly type: Type<T>;
  readonly help: string;
  readonly key?: string;
}

/** A field that must be there. */
export function required<T>({ type, help, key }: Description<T>): Field<T> {
  return {
    entries: (name) => [{ key: key ?? name, shape: type.shape, fallback: "required", help }],
    read: (map, name, place) => {
      const at = place.at(key ?? name);
      return type.decode(map.get(key ?? name) ?? at.refuse("is missing", "missing"), at);
    },
  };
}

/** A field that may be left out, and is undefined then. */
export function optional<T>({ type, help, key }: Description<T>): Field<T | undefined> {
  return {
    entries: (name) => [{ key: key ?? name, shape: type.shape, fallback: "", help }],
    read: (map, name, place) => {
      const raw = map.get(key ?? name);
      return raw === undefined ? undefined : type.decode(raw, place.at(key ?? name));
    },
  };
}

/** What stands for a field that was left out: as it would be written, or made from the fields beside it, with words for the documents. */
type Fallback = Raw | { readonly says: string; readonly from: (map: RawMap) => Raw };

/** A field with a default. */
export function withDefault<T>({ type, help, key, fallback }: Description<T> & { readonly fallback: Fallback }): Field<T> {
  return {
    entries: (name) => [{ key: key ?? name, shape: type.shape, fallback: inWords(fallback), help }],
    read: (map, name, place) => type.decode(map.get(key ?? name) ?? given(fallback, map), place.at(key ?? name)),
  };
}

/** A field with a default, which `off` makes undefined. */
export function orOff<T>({ type, help, key, fallback }: Description<T> & { readonly fallback: Fallback }): Field<T | undefined> {
  const off = `${help}; \`off\`: not at all`;
  return {
    entries: (name) => [{ key: key ?? name, shape: type.shape, fallback: inWords(fallback), help: off }],
    read: (map, name, place) => {
      const raw = map.get(key ?? name) ?? given(fallback, map);
      return raw === "off" ? undefined : type.decode(raw, place.at(key ?? name));
    },
  };
}

/** A property that cannot be chosen here; whoever tries is told why. */
export function fixed<const T>(value: T, refusal: string): Field<T> {
  return { entries: () => [], refusal: () => refusal, read: () => value };
}

/** The word that says which variant a mapping is. */
export function tag<const T extends string>(value: T, help: string): Field<T> {
  return {
    entries: (name) => [{ key: name, shape: { kind: "scalar", name: "" }, fallback: "required", help }],
    read: () => value,
  };
}

/** Not a secret in itself, such as a user's name: plain, under the property's name, or in a file, under that name and `File`. */
export function plainOrFile(help: string): Field<SecretSource | undefined> {
  return {
    entries: (name) => [
      { key: name, shape: text.shape, fallback: "", help },
      { key: `${name}File`, shape: absolutePath.shape, fallback: "", help: "The same, from a file that is read anew for each use" },
    ],
    read: (map, name, place) => {
      const plain = map.get(name);
      const file = readFile(map, name, place);
      if (plain === undefined) return file;
      if (file !== undefined) place.at(`${name}File`).refuse(`there is ${name} too: only one of the two`);
      return { kind: "value", value: text.decode(plain, place.at(name)) };
    },
  };
}

/** A secret: only from a file. */
export function onlyFile(help: string): Field<SecretSource | undefined> {
  return {
    entries: (name) => [{ key: `${name}File`, shape: absolutePath.shape, fallback: "", help }],
    refusal: (name) =>
      `a secret does not stand in the configuration: put it into a file, such as one of a mounted Secret, and say ${name}File: /path/of/it`,
    read: readFile,
  };
}

/** The same, where one must be given. */
export function needed(field: Field<SecretSource | undefined>): Field<SecretSource> {
  return {
    entries: (name) => {
      const entries = field.entries(name);
      return entries.map((entry) => ({ ...entry, fallback: entries.length === 1 ? "required" : "one of the two" }));
    },
    ...(field.refusal === undefined ? {} : { refusal: field.refusal }),
    read: (map, name, place) => {
      const source = field.read(map, name, place);
      if (source !== undefined) return source;
      const keys = field.entries(name).map(({ key }) => key);
      return place.at(keys[0] ?? name).refuse(keys.length === 1 ? "is missing" : `is missing: ${keys.join(" or ")}`, "missing");
    },
  };
}

function readFile(map: RawMap, name: string, place: Place): SecretSource | undefined {
  const raw = map.get(`${name}File`);
  return raw === undefined ? undefined : { kind: "file", path: absolutePath.decode(raw, place.at(`${name}File`)) };
}

function given(fallback: Fallback, map: RawMap): Raw {
  return isComputed(fallback) ? fallback.from(map) : fallback;
}

function inWords(fallback: Fallback): string {
  if (isComputed(fallback)) return fallback.says;
  return typeof fallback === "string" ? fallback : "";
}

function isComputed(fallback: Fallback): fallback is Extract<Fallback, { from: unknown }> {
  return typeof fallback === "object" && "from" in fallback;
}
