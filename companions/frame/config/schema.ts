import type { Problem, RawMap, Type } from "./decode.ts";

/** All that a companion's configuration may say, in a file or in the environment alone. */
export interface ConfigSchema<Config> {
  readonly type: Type<Config>;
  /** What an empty file is told: `listeners`. */
  readonly least: string;
  /**
   * What no single value shows: settings that do not go together. It is given a configuration in which properties that could not be read throw
   * `unreadable`: checks that need one of those are left out.
   */
  readonly check?: (config: Config, problems: Problem[]) => void;
  readonly variables: VariableTable;
}

/** A program's environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The variables of the simple case, which needs no file. */
export interface VariableTable {
  /** What the name of each begins with: `AMBASSADOR_`. With CONFIG after it, it names a configuration file; then there can be no other. */
  readonly prefix: string;
  readonly all: readonly Variable[];
  /** Those that must be set, as somebody is told who has set none. */
  readonly needed: readonly string[];
  /** What the variables are written into. Default: nothing. */
  readonly base?: RawMap;
  /** Why a value has no place in the configuration that the others make; `at` is where it was written to. Default: it has no meaning here. */
  readonly whyUnknown?: (at: string, environment: Environment) => string;
}

/** One variable, as the program reads it and the documents show it. What it may be is said by the field that it stands for. */
export interface Variable {
  readonly name: string;
  readonly help: string;
  /** The key that it stands for: `listeners.0.listen`; may depend on other variables. */
  readonly key: string | ((environment: Environment) => string);
  /** Several values with commas between them. */
  readonly isList?: boolean;
  /** Another key that is set with it, and its value. */
  readonly implies?: (environment: Environment) => readonly [key: string, value: string] | undefined;
}

/** The variable that names a configuration file. */
export function configVariable({ prefix }: VariableTable): string {
  return `${prefix}CONFIG`;
}
