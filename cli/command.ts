import type { Completed, FlagSpec, ParsedArguments } from "./arguments.ts";
import type { CliConfig } from "./config.ts";
import type { Interrupts } from "./interrupts.ts";
import type { Terminal } from "./terminal.ts";

/** What a command works with. */
export interface Invocation extends ParsedArguments {
  readonly config: CliConfig;
  readonly terminal: Terminal;
  /** Aborted by the first Ctrl-C (or SIGTERM, or a reader of ours that left). */
  readonly signal: AbortSignal;
  readonly interrupts: Interrupts;
}

/** Runs a command to its exit code. */
export type Run = (invocation: Invocation) => Promise<number>;

/** A command: one entry of the table that drives parsing, help and completion. */
export interface Command {
  /** `up`, or `image pull`. */
  readonly name: string;
  readonly summary: string;
  /** What comes after the name: `[FILE...]`. */
  readonly usage: string;
  readonly flags: readonly FlagSpec[];
  readonly examples: readonly { readonly line: string; readonly about: string }[];
  /** More to know, for its own help. */
  readonly details?: string;
  /** What a shell offers for each plain word; the last holds for all further ones. */
  readonly completes?: readonly Completed[];
  /** See ParseOptions. */
  readonly ownWords?: number;
  /** Not shown. */
  readonly hidden?: boolean;
  readonly load: () => Promise<Run>;
}
