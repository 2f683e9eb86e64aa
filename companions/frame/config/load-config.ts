import { closeSync, openSync, readSync } from "node:fs";
import { messageOf } from "@peapod/kit";
import { givenVariables, parseEnvironment } from "./environment.ts";
import { invalid, parseConfig } from "./parse-config.ts";
import { type ConfigSchema, configVariable, type Environment, type VariableTable } from "./schema.ts";

/** One byte more than parse-config takes, so that it says so. */
const READ_BYTES = 1024 * 1024 + 1;

/** Where the configuration is. A file can be read again when it has changed; the environment of a process cannot change. */
export type ConfigSource =
  | { readonly kind: "file"; readonly path: string; readonly environment: Environment }
  | { readonly kind: "environment"; readonly environment: Environment };

/**
 * `--config FILE`, or the variable that names one, or the variables of the simple case. One place says everything: throws CONFIG_INVALID where a
 * file is named and there are variables too, since either would win over the other in a way that nobody sees.
 */
export function chooseConfigSource(table: VariableTable, configFlag: string | undefined, environment: Environment): ConfigSource {
  const variable = configVariable(table);
  const path = configFlag ?? environment[variable] ?? "";
  const variables = givenVariables(table, environment).filter((name) => name !== variable);
  if (path === "") {
    if (configFlag === undefined && variables.length > 0) return { kind: "environment", environment };
    const needed = table.needed.join(", ").replace(/, (?=[^,]*$)/, " and ");
    throw invalid([`No configuration: name a file with --config or ${variable}, or set ${needed}`]);
  }
  if (variables.length > 0) throw invalid(variables.map((name) => `${name}: there is a configuration file too, ${path}: say it there`));
  return { kind: "file", path, environment };
}

/** Reads the configuration from where it is. Throws CONFIG_INVALID with a line for each problem. */
export function loadConfig<Config>(schema: ConfigSchema<Config>, source: ConfigSource): Config {
  const { environment } = source;
  if (source.kind === "environment") return parseEnvironment(schema, environment);
  return parseConfig(schema, readConfigFile(source.path), source.path, environment);
}

/** The text of a configuration file, to be compared with what it said before. Throws CONFIG_INVALID where it cannot be read. */
export function readConfigFile(path: string): string {
  try {
    const file = openSync(path, "r");
    try {
      const buffer = Buffer.allocUnsafeSlow(READ_BYTES); // untouched, it takes no memory
      let length = 0;
      for (let got = -1; got !== 0 && length < READ_BYTES; length += got) got = readSync(file, buffer, length, READ_BYTES - length, null);
      return buffer.toString("utf8", 0, length);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw invalid([`${path}: cannot be read: ${messageOf(cause)}`]);
  }
}
