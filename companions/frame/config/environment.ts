import type { Problem, Raw, RawMap } from "./decode.ts";
import { decodeConfig, invalid } from "./parse-config.ts";
import { type ConfigSchema, configVariable, type Environment, type Variable, type VariableTable } from "./schema.ts";
import { suggest } from "./suggest.ts";

/** Secrets that somebody will try to pass as they are: the environment of a process is shown by /proc, `kubectl describe` and crash reports. */
const secretWords = ["PASSWORD", "TOKEN", "API_KEY", "KEY", "CLIENT_SECRET", "SECRET"];

/**
 * The simple case: from the environment alone, through the same schema as a file. Throws CONFIG_INVALID with every problem, a line each, naming
 * variable, value and what was expected; unknown names with the prefix are problems too. An empty variable is none.
 */
export function parseEnvironment<Config>(schema: ConfigSchema<Config>, environment: Environment): Config {
  const table = schema.variables;
  const top = copyOf(table.base ?? new Map<string, Raw>());
  const writers = new Map<string, Variable>(); // by the path that they wrote to
  for (const variable of table.all) {
    const value = environment[variable.name] ?? "";
    if (value === "") continue;
    const assign = (key: string, raw: Raw): void => {
      write(top, key.split("."), raw);
      writers.set(key, variable);
    };
    assign(keyOf(variable, environment), variable.isList === true ? value.split(",").map((part) => part.trim()) : value);
    const implied = variable.implies?.(environment);
    if (implied !== undefined) assign(...implied);
  }
  const { config, problems } = decodeConfig(schema, top as RawMap);
  const written: Written = { environment, writers, table };
  const lines = [...unknownVariables(table, environment), ...problems.flatMap((problem) => inVariables(problem, written))];
  if (config === undefined || lines.length > 0) throw invalid([...new Set(lines)]);
  return config;
}

/** The names of the variables that were meant for this program, in order. */
export function givenVariables({ prefix }: VariableTable, environment: Environment): string[] {
  const names = Object.keys(environment).filter((name) => name.startsWith(prefix) && (environment[name] ?? "") !== "");
  return names.filter((name) => !isServiceLink(name)).toSorted();
}

/** Kubernetes puts such variables into every container for each Service of the namespace: one called `ambassador` must not stop that program. */
function isServiceLink(name: string): boolean {
  return /_SERVICE_(HOST|PORT(_\w+)?)$/.test(name) || /_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$/.test(name);
}

function unknownVariables(table: VariableTable, environment: Environment): string[] {
  const { prefix } = table;
  const known = [...table.all.map(({ name }) => name), configVariable(table)];
  return givenVariables(table, environment)
    .filter((name) => !known.includes(name))
    .map((name) => {
      if (secretWords.includes(name.slice(prefix.length)))
        return `${name}: a secret does not stand in the environment: put it into a file, such as one of a mounted Secret, and name that file instead${known.includes(`${name}_FILE`) ? `, with ${name}_FILE` : ""}`;
      const words = known.map((one) => one.slice(prefix.length));
      const meant = suggest(name.slice(prefix.length), words);
      return `${name}: unknown variable${meant === undefined ? "" : `; did you mean ${prefix}${meant}?`}`;
    });
}

function keyOf({ key }: Variable, environment: Environment): string {
  return typeof key === "string" ? key : key(environment);
}

/** A raw value that can be written to. */
type Draft = Map<string, Raw> | Raw[];

function copyOf(raw: RawMap | readonly Raw[]): Draft {
  const copy = (inner: Raw): Raw => (typeof inner === "string" ? inner : copyOf(inner));
  return isList(raw) ? raw.map(copy) : new Map([...raw].map(([key, inner]) => [key, copy(inner)]));
}

function isList(raw: RawMap | readonly Raw[]): raw is readonly Raw[] {
  return Array.isArray(raw);
}

function write(draft: Draft, [step = "", ...rest]: readonly string[], value: Raw): void {
  const inner = Array.isArray(draft) ? draft[Number(step)] : draft.get(step);
  const isLast = rest.length === 0;
  const child = isLast ? value : typeof inner === "object" ? (inner as Draft) : new Map<string, Raw>(); // only such are put here
  if (Array.isArray(draft)) draft[Number(step)] = child;
  else draft.set(step, child);
  if (!isLast) write(child as Draft, rest, value); // as above
}

interface Written {
  readonly environment: Environment;
  readonly writers: ReadonlyMap<string, Variable>;
  readonly table: VariableTable;
}

/** A problem in the words of who set the variables. */
function inVariables({ path, message, kind }: Problem, { environment, writers, table }: Written): string[] {
  const exact = path.join(".");
  const below = (text: string): boolean => text === exact || text.startsWith(`${exact}.`);
  if (kind === "unknown") {
    const why = table.whyUnknown?.(exact, environment) ?? "has no meaning beside the others";
    return [...writers].filter(([written]) => below(written)).map(([, { name }]) => `${name}: ${why}`);
  }
  const writer = writers.get(exact) ?? writers.get(path.slice(0, -1).join("."));
  if (writer === undefined) {
    const absent = table.all.find((variable) => below(keyOf(variable, environment)));
    return [`${absent?.name ?? exact}: ${message}`];
  }
  const value = environment[writer.name] ?? "";
  const isShown = message.includes(", found ") || value.includes("@"); // or would show what may be a password in a URL
  return [isShown ? `${writer.name}: ${message}` : `${writer.name}: ${JSON.stringify(value)} ${message}`];
}
