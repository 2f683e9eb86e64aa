import { CompanionError } from "../errors.ts";
import { type Path, Place, type Problem, type Raw, unreadable } from "./decode.ts";
import { expandVariables } from "./expand.ts";
import { readYaml } from "./read-yaml.ts";
import type { ConfigSchema, Environment } from "./schema.ts";

const SHOWN_PROBLEMS = 50;

/**
 * Reads a configuration. Throws CONFIG_INVALID with every problem at once, a line each: `FILE:LINE: listeners[0].listen: is missing`, in the
 * order of the lines. Never says what stands at a place for a secret. `$(NAME)` in a value stands for one of the `variables`.
 */
export function parseConfig<Config>(schema: ConfigSchema<Config>, text: string, fileName: string, variables: Environment = {}): Config {
  const document = readYaml(text);
  if ("length" in document) throw invalid(document.map(({ line, message }) => `${fileName}:${line}: ${message}`));
  if (document.raw === undefined) throw invalid([`${fileName}:1: is empty: at the least it needs ${schema.least}`]);
  const unknown: Problem[] = [];
  const raw = expandVariables(document.raw, variables, unknown);
  const { config, problems } = decodeConfig(schema, raw);
  if (config !== undefined && unknown.length === 0) return config;
  const told = new Set(unknown.map(({ path }) => formatPath(path))); // what such a value does not look like says nothing new
  const lines = [...unknown, ...problems.filter(({ path }) => !told.has(formatPath(path)))].map(({ path, message }) => ({
    line: document.lineOf(path),
    text: `${path.length === 0 ? "" : `${formatPath(path)}: `}${message}`,
  }));
  throw invalid(lines.toSorted((a, b) => a.line - b.line).map(({ line, text: said }) => `${fileName}:${line}: ${said}`));
}

/** A raw value as a configuration, frozen; undefined where there are problems. */
export function decodeConfig<Config>(
  { type, check }: ConfigSchema<Config>,
  raw: Raw,
): { readonly config: Config | undefined; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  try {
    const config = type.decode(raw, new Place(problems));
    check?.(config, problems);
    return { config: problems.length === 0 ? freeze(config) : undefined, problems };
  } catch (cause) {
    if (cause !== unreadable) throw cause;
    return { config: undefined, problems };
  }
}

/** CONFIG_INVALID, a line for each problem, up to so many that somebody reads them. */
export function invalid(lines: readonly string[]): CompanionError<"CONFIG_INVALID"> {
  const shown = lines.length <= SHOWN_PROBLEMS ? lines : [...lines.slice(0, SHOWN_PROBLEMS), `and ${lines.length - SHOWN_PROBLEMS} more`];
  return new CompanionError("CONFIG_INVALID", shown.join("\n"));
}

/** `listeners[0].upstream.tls` */
function formatPath(path: Path): string {
  return path.map((step, index) => (typeof step === "number" ? `[${step}]` : `${index === 0 ? "" : "."}${step}`)).join("");
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
