import type { AmbassadorConfig } from "./config.ts";
import type { Problem, Raw } from "./decode.ts";
import { decodeConfig, invalid } from "./parse-config.ts";
import { suggest } from "./suggest.ts";
import { type AmbassadorVariable, ambassadorVariables, CONFIG_VARIABLE, PREFIX } from "./variables.ts";

/** A program's environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Secrets that somebody will try to pass as they are: the environment of a process is shown by /proc, `kubectl describe` and crash reports. */
const secretNames = ["PASSWORD", "TOKEN", "API_KEY", "KEY", "CLIENT_SECRET", "SECRET"].map((name) => `${PREFIX}${name}`);

/**
 * The simple case: one listener, from the environment alone, through the same schema as a file. Throws CONFIG_INVALID with every problem, a
 * line each, naming variable, value and what was expected; unknown AMBASSADOR_ names are problems too. An empty variable is none.
 */
export function parseEnvironment(environment: Environment): AmbassadorConfig {
  const protocol = environment[`${PREFIX}PROTOCOL`] ?? "";
  const listener = new Map<string, Raw>();
  const top = new Map<string, Raw>([["listeners", [listener]]]);
  const writers = new Map<string, AmbassadorVariable>(); // by the path that they wrote to
  for (const variable of ambassadorVariables) {
    const value = environment[variable.name] ?? "";
    if (value === "") continue;
    const key = keyOf(variable, protocol);
    const assign = (to: string, raw: Raw): void => {
      write(to.startsWith(".") ? listener : top, to.replace(/^\./, "").split("."), raw);
      writers.set(pathText(to), variable);
    };
    assign(key, variable.isList === true ? value.split(",").map((part) => part.trim()) : value);
    if (protocol === "http" && variable.authKind !== undefined) assign(".auth.kind", variable.authKind);
  }
  const { config, problems } = decodeConfig(top);
  const written: Written = { environment, writers, protocol };
  const lines = [...unknownVariables(environment), ...problems.flatMap((problem) => inVariables(problem, written))];
  if (config === undefined || lines.length > 0) throw invalid([...new Set(lines)]);
  return config;
}

/** The names of the variables that were meant for this program, in order. */
export function givenVariables(environment: Environment): string[] {
  const names = Object.keys(environment).filter((name) => name.startsWith(PREFIX) && (environment[name] ?? "") !== "");
  return names.filter((name) => !isServiceLink(name)).toSorted();
}

/** Kubernetes puts such variables into every container for each Service of the namespace: one called `ambassador` must not stop this program. */
function isServiceLink(name: string): boolean {
  return /_SERVICE_(HOST|PORT(_\w+)?)$/.test(name) || /_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$/.test(name);
}

function unknownVariables(environment: Environment): string[] {
  const known = [...ambassadorVariables.map(({ name }) => name), CONFIG_VARIABLE];
  return givenVariables(environment)
    .filter((name) => !known.includes(name))
    .map((name) => {
      if (secretNames.includes(name))
        return `${name}: a secret does not stand in the environment: put it into a file, such as one of a mounted Secret, and name that file instead${known.includes(`${name}_FILE`) ? `, with ${name}_FILE` : ""}`;
      const words = known.map((one) => one.slice(PREFIX.length));
      const meant = suggest(name.slice(PREFIX.length), words);
      return `${name}: unknown variable${meant === undefined ? "" : `; did you mean ${PREFIX}${meant}?`}`;
    });
}

function keyOf({ key }: AmbassadorVariable, protocol: string): string {
  return typeof key === "string" ? key : key(protocol);
}

function pathText(key: string): string {
  return key.startsWith(".") ? `listeners.0${key}` : key;
}

function write(map: Map<string, Raw>, [step = "", ...rest]: readonly string[], value: Raw): void {
  if (rest.length === 0) {
    map.set(step, value);
    return;
  }
  const inner = map.get(step);
  const child = inner instanceof Map ? (inner as Map<string, Raw>) : new Map<string, Raw>(); // only such are put here
  map.set(step, child);
  write(child, rest, value);
}

interface Written {
  readonly environment: Environment;
  readonly writers: ReadonlyMap<string, AmbassadorVariable>;
  readonly protocol: string;
}

/** A problem in the words of who set the variables. */
function inVariables({ path, message, kind }: Problem, { environment, writers, protocol }: Written): string[] {
  const exact = path.join(".");
  const below = (text: string): boolean => text === exact || text.startsWith(`${exact}.`);
  if (kind === "unknown") {
    const authorizer = exact.startsWith("listeners.0.auth.") ? writers.get("listeners.0.auth.kind")?.name : undefined;
    const why = authorizer === undefined ? `has no meaning for protocol ${protocol}` : `cannot stand beside ${authorizer}`;
    return [...writers].filter(([written]) => below(written)).map(([, { name }]) => `${name}: ${why}`);
  }
  const writer = writers.get(exact) ?? writers.get(path.slice(0, -1).join("."));
  if (writer === undefined) {
    const absent = ambassadorVariables.find((variable) => below(pathText(keyOf(variable, protocol))));
    return [`${absent?.name ?? exact}: ${message}`];
  }
  const value = environment[writer.name] ?? "";
  const isShown = message.includes(", found ") || value.includes("@"); // or would show what may be a password in a URL
  return [isShown ? `${writer.name}: ${message}` : `${writer.name}: ${JSON.stringify(value)} ${message}`];
}
