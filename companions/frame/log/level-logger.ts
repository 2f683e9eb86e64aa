import { createLogger, type LogFields, type Logger, type LogLevel } from "@peapod/kit";

const order: readonly LogLevel[] = ["error", "warn", "info", "debug"];

/** A logger whose level can be changed while it is in use, also in the loggers made from it. */
export interface LevelLogger extends Logger {
  setLevel(level: LogLevel): void;
}

/** JSON lines up to `level`, given to `write`. */
export function createLevelLogger(options: { level: LogLevel; write: (line: string) => void }): LevelLogger {
  let limit = order.indexOf(options.level);
  const wrap = (inner: Logger): Logger => {
    const at =
      (level: LogLevel) =>
      (message: string, fields?: LogFields): void => {
        if (order.indexOf(level) <= limit) inner[level](message, fields);
      };
    return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug"), with: (fields) => wrap(inner.with(fields)) };
  };
  const logger = wrap(createLogger({ level: "debug", write: options.write }));
  return { ...logger, setLevel: (level) => void (limit = order.indexOf(level)) };
}
