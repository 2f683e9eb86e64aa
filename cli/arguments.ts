import { nearestName } from "@peapod/api/suggest";
import { usageError } from "./cli-error.ts";

/** What a word of a command line stands for, and so what a shell offers in its place. */
export type Completed =
  | "companion"
  | "container"
  | "field"
  | "file"
  | "folder"
  | "image"
  | "namespace"
  | "nothing"
  | "pod"
  | "pod-or-file"
  | "shell";

/** One flag of a command; drives parsing, help and completion. */
export interface FlagSpec {
  readonly name: string;
  readonly short?: string;
  /** `list` may come several times. */
  readonly kind: "boolean" | "string" | "number" | "duration" | "list";
  /** What stands for the value in help: FILE, NAME. */
  readonly value?: string;
  readonly about: string;
  readonly choices?: readonly string[];
  /** What a shell offers for the value. */
  readonly completes?: Completed;
}

/** What was said on the command line, after the command's name. */
export interface ParsedArguments {
  readonly flags: Flags;
  readonly positionals: readonly string[];
  /** What came after `--`; undefined where there was none. */
  readonly rest: readonly string[] | undefined;
}

export interface ParseOptions {
  /** How many plain words are ours: after the last of them everything is somebody else's, flags and `--` too. */
  readonly ownWords?: number;
}

type Value = boolean | string | number | string[];

/** The flags of a command line, by name. Asking for a flag that the command does not have is a bug. */
export class Flags {
  readonly #specs: ReadonlyMap<string, FlagSpec>;
  readonly #values: ReadonlyMap<string, Value>;

  constructor(specs: readonly FlagSpec[], values: ReadonlyMap<string, Value>) {
    this.#specs = new Map(specs.map((spec) => [spec.name, spec]));
    this.#values = values;
  }

  boolean(name: string): boolean {
    return this.#value(name) === true;
  }

  string(name: string): string | undefined {
    const value = this.#value(name);
    return typeof value === "string" ? value : undefined;
  }

  /** Seconds, for a duration. */
  number(name: string): number | undefined {
    const value = this.#value(name);
    return typeof value === "number" ? value : undefined;
  }

  list(name: string): readonly string[] {
    const value = this.#value(name);
    return Array.isArray(value) ? value : [];
  }

  #value(name: string): Value | undefined {
    if (!this.#specs.has(name)) throw new Error(`This command has no flag --${name}`);
    return this.#values.get(name);
  }
}

/** Reads a command line: `--flag value`, `--flag=value`, `-f value`, `-it`, and `--` before what is not for us. Throws a usage error. */
export function parseArguments(words: readonly string[], specs: readonly FlagSpec[], options: ParseOptions = {}): ParsedArguments {
  const { ownWords = Infinity } = options;
  const values = new Map<string, Value>();
  const positionals: string[] = [];
  for (let index = 0; index < words.length;) {
    const word = words[index] ?? "";
    index += 1;
    if (word === "--") return { flags: new Flags(specs, values), positionals, rest: words.slice(index) };
    if (word === "-" || !word.startsWith("-")) {
      positionals.push(word);
      if (positionals.length < ownWords) continue;
      positionals.push(...words.slice(index));
      break;
    }
    for (const { spec, inline } of flagsIn(word, specs)) {
      if (spec.kind !== "boolean" && inline === undefined && (index >= words.length || words[index] === "--"))
        throw usageError(`${word} needs a value: ${usageOf(spec)}`);
      const value = spec.kind === "boolean" ? booleanOf(word, inline) : parseValue(spec, inline ?? words[index++] ?? "");
      const before = values.get(spec.name);
      values.set(spec.name, Array.isArray(value) && Array.isArray(before) ? [...before, ...value] : value);
    }
  }
  return { flags: new Flags(specs, values), positionals, rest: undefined };
}

/** How help writes a flag: `-f, --file FILE`. */
export function usageOf(spec: FlagSpec): string {
  const long = `--${spec.name}${spec.kind === "boolean" ? "" : ` ${spec.value ?? spec.choices?.join("|") ?? "VALUE"}`}`;
  return spec.short === undefined ? long : `-${spec.short}, ${long}`;
}

/** Seconds of `90`, `90s`, `5m`, `1h30m`; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  const match = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?$/.exec(text);
  if (match === null || text === "") return undefined;
  return Number(match[1] ?? 0) * 3600 + Number(match[2] ?? 0) * 60 + Number(match[3] ?? 0);
}

/** A word is one long flag or several short ones, of which the last may carry its value. */
function flagsIn(word: string, specs: readonly FlagSpec[]): { spec: FlagSpec; inline: string | undefined }[] {
  if (word.startsWith("--")) {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    const spec = specs.find((candidate) => candidate.name === name);
    if (spec === undefined) throw unknownFlag(`--${name}`, specs);
    return [{ spec, inline: equals < 0 ? undefined : word.slice(equals + 1) }];
  }
  const found: { spec: FlagSpec; inline: string | undefined }[] = [];
  for (let index = 1; index < word.length; index += 1) {
    const spec = specs.find((candidate) => candidate.short === word[index]);
    if (spec === undefined) throw unknownFlag(`-${word[index] ?? ""}`, specs);
    const after = word.slice(index + 1).replace(/^=/, "");
    if (spec.kind !== "boolean" && after !== "") return [...found, { spec, inline: after }];
    found.push({ spec, inline: undefined });
  }
  return found;
}

function unknownFlag(flag: string, specs: readonly FlagSpec[]): Error {
  const near = flag.startsWith("--")
    ? nearestName(
        flag.slice(2),
        specs.map((spec) => spec.name),
      )
    : undefined;
  return usageError(`Unknown flag ${flag}${near === undefined ? "" : `, did you mean --${near}?`}`);
}

function booleanOf(word: string, inline: string | undefined): boolean {
  if (inline === undefined || inline === "true") return true;
  if (inline === "false") return false;
  throw usageError(`${word}: expected true or false`);
}

function parseValue(spec: FlagSpec, text: string): Value {
  if (spec.choices !== undefined && !spec.choices.includes(text)) {
    throw usageError(`--${spec.name} takes one of ${spec.choices.join(", ")}, not "${text}"`);
  }
  if (spec.kind === "list") return [text];
  if (spec.kind === "string") return text;
  const number = spec.kind === "duration" ? parseDuration(text) : /^-?\d+$/.test(text) ? Number(text) : undefined;
  if (number !== undefined) return number;
  throw usageError(
    `--${spec.name} takes ${spec.kind === "duration" ? "a time such as 90s, 5m or 1h30m" : "a whole number"}, not "${text}"`,
  );
}
