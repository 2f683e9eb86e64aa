import { messageOf } from "@peapod/kit";
import { parseArgs } from "node:util";

/** What the program is asked to do. */
export type Command =
  | { readonly kind: "run"; readonly config: string | undefined }
  | { readonly kind: "check"; readonly config: string | undefined }
  | {
      readonly kind: "wait";
      readonly config: string | undefined;
      /** Of the admin server; undefined: the configuration says it. */
      readonly admin: string | undefined;
      readonly listener: string | undefined;
      readonly timeoutMs: number;
    }
  | { readonly kind: "help" }
  | { readonly kind: "version" };

/** A command line that makes no sense. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What the program ends with. */
export const exitCodes = { success: 0, failure: 1, usage: 64 } as const;

const DEFAULT_WAIT = "60s";

/** What `--help` prints. */
export const helpText = `The ambassador: localhost is the database. It listens where an application expects its upstream, and knows where
the upstream really is and how to log in there.

Usage: ambassador [run] [--config FILE]
       ambassador check FILE
       ambassador wait [--listener NAME] [--timeout TIME] [--admin ADDRESS | --config FILE]

Commands:
  run    listen and forward, until SIGTERM or SIGINT; SIGHUP reads the configuration again (the default)
  check  say whether a configuration is valid, or every problem with its line
  wait   return when a running ambassador is ready: its listeners accept, and an upstream of each has answered

Flags:
  --config FILE     the configuration (default: AMBASSADOR_CONFIG, or one listener from AMBASSADOR_* variables)
  --listener NAME   wait for this listener alone
  --timeout TIME    how long to wait, such as 500ms, 30s or 2m (default ${DEFAULT_WAIT})
  --admin ADDRESS   where its admin server listens: HOST:PORT or unix:PATH (default: what the configuration says)
  --help, --version

Examples:
  ambassador --config /etc/ambassador/ambassador.yaml
  ambassador check ambassador.yaml
  ambassador wait --admin 127.0.0.1:9901 --timeout 30s && exec java -jar app.jar
  AMBASSADOR_PROTOCOL=postgres AMBASSADOR_LISTEN=127.0.0.1:5432 AMBASSADOR_UPSTREAM=db.example:5432 \\
    AMBASSADOR_USERNAME=app AMBASSADOR_PASSWORD_FILE=/run/secrets/db/password ambassador

Exit codes: 0 ended as told, valid, ready; 1 could not go on, or not ready in time; 64 a configuration or command line that makes no sense.
`;

/** Reads the command line. Throws a UsageError. */
export function parseCommandLine(words: readonly string[]): Command {
  const { values, positionals } = parse(words);
  if (values.help === true) return { kind: "help" };
  if (values.version === true) return { kind: "version" };
  const [command = "run", ...rest] = positionals;
  const isWait = command === "wait";
  for (const flag of ["admin", "listener", "timeout"] as const)
    if (!isWait && values[flag] !== undefined) throw new UsageError(`--${flag} belongs to wait`);
  if (command === "check") {
    if (rest.length > 1 || (rest.length === 1 && values.config !== undefined)) throw new UsageError("check takes one FILE");
    return { kind: "check", config: rest[0] ?? values.config };
  }
  if (rest.length > 0) throw new UsageError(`${command} takes no ${JSON.stringify(rest[0])}`);
  if (command === "run") return { kind: "run", config: values.config };
  if (!isWait) throw new UsageError(`Unknown command ${JSON.stringify(command)}: there are run, check and wait`);
  if (values.admin !== undefined && values.config !== undefined) throw new UsageError("wait takes --admin or --config, not both");
  const timeoutMs = parseTime(values.timeout ?? DEFAULT_WAIT);
  return { kind: "wait", config: values.config, admin: values.admin, listener: values.listener, timeoutMs };
}

function parse(words: readonly string[]) {
  try {
    const string = { type: "string" } as const;
    const boolean = { type: "boolean" } as const;
    const options = {
      config: string,
      listener: string,
      timeout: string,
      admin: string,
      help: { ...boolean, short: "h" },
      version: boolean,
    } as const;
    return parseArgs({ args: [...words], options, strict: true, allowPositionals: true });
  } catch (cause) {
    const [said = ""] = messageOf(cause).split(". To "); // what to do with an odd file name helps nobody
    throw new UsageError(`${said}; --help lists what there is`, { cause });
  }
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

function parseTime(text: string): number {
  const [, digits = "", unit = "s"] = /^(\d{1,7}(?:\.\d{1,3})?)(ms|s|m)?$/.exec(text) ?? [];
  if (digits === "") throw new UsageError(`--timeout: expected a time such as 500ms, 30s or 2m, not ${JSON.stringify(text)}`);
  return Number(digits) * (UNITS_MS[unit] ?? 0);
}
