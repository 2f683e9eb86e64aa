/** The levels, from the rarest to the most talkative. */
export type LogLevel = "error" | "warn" | "info" | "debug";

const order: readonly LogLevel[] = ["error", "warn", "info", "debug"];

export type LogFields = Record<string, unknown>;

/** Writes JSON lines: a constant message and fields. */
export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  with(fields: LogFields): Logger;
}

/** A logger of everything up to `level`, one JSON object a line, given to `write`. */
export function createLogger(options: { level: LogLevel; write: (line: string) => void; fields?: LogFields }): Logger {
  const { level: limit, write, fields: base = {} } = options;
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (order.indexOf(level) > order.indexOf(limit)) return;
      const head = { time: new Date().toISOString(), level, message };
      const line = { ...head, ...base, ...fields, ...head }; // first in the line, whatever the fields are called
      write(`${JSON.stringify(line, plainValue)}\n`);
    };
  return {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    with: (fields) => createLogger({ level: limit, write, fields: { ...base, ...fields } }),
  };
}

/** A logger that says nothing, for tests and for one-shot commands. */
export const silentLogger: Logger = createLogger({ level: "error", write: () => {} });

/** Spells out what JSON would lose: errors have no enumerable fields. */
function plainValue(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}`; // JSON has none, and a log line must not throw
  if (!(value instanceof Error)) return value;
  const code = "code" in value ? { code: value.code } : {};
  const cause = value.cause === undefined ? {} : { cause: value.cause };
  const errors = value instanceof AggregateError ? { errors: value.errors } : {};
  return { name: value.name, message: value.message, ...code, ...cause, ...errors, stack: value.stack };
}
