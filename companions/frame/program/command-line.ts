import { messageOf } from "@peapod/kit";
import { parseArgs } from "node:util";

import type { WaitWords } from "./companion.ts";

/** What the program is asked to do. */
export type Command =
  | { readonly kind: "run"; readonly config: string | undefined }
  | { readonly kind: "check"; readonly config: string | undefined }
  | {
      readonly kind: "wait";
      readonly config: string | undefined;
      /** Of the admin server; undefined: the configuration says it. */
      readonly admin: string | undefined;
      /** What `/readyz` is asked for. */
      readonly query: Readonly<Record<string, string>>;
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

/** How long `wait` waits where nobody says it. */
export const DEFAULT_WAIT = "60s";

/** Reads the command line of a companion whose `wait` has these flags. Throws a UsageError. */
export function parseCommandLine(words: readonly string[], { query, flags }: WaitWords = { query: {}, flags: [] }): Command {
  const own = flags.map(({ name }) => name);
  const { values, positionals } = parse(words, own);
  if (values.help === true) return { kind: "help" };
  if (values.version === true) return { kind: "version" };
  const [command = "run", ...rest] = positionals;
  const isWait = command === "wait";
  for (const flag of ["admin", ...own, "timeout"])
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
  const asked = Object.fromEntries(own.flatMap((flag) => (typeof values[flag] === "string" ? [[flag, values[flag]]] : [])));
  return { kind: "wait", config: values.config, admin: values.admin, query: { ...query, ...asked }, timeoutMs };
}

type Values = Readonly<Record<string, string | boolean | undefined>> & {
  readonly config?: string;
  readonly timeout?: string;
  readonly admin?: string;
};

function parse(words: readonly string[], own: readonly string[]): { readonly values: Values; readonly positionals: readonly string[] } {
  const string = { type: "string" } as const;
  const boolean = { type: "boolean" } as const;
  const options = {
    ...Object.fromEntries(own.map((flag) => [flag, string])),
    config: string,
    timeout: string,
    admin: string,
    help: { ...boolean, short: "h" },
    version: boolean,
  } as const;
  try {
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
