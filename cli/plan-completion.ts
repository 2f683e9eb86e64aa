import { type Completed, type FlagSpec, type ParsedArguments, parseArguments } from "./arguments.ts";
import { CliError } from "./cli-error.ts";
import type { Command } from "./command.ts";
import { helpFlag } from "./flags.ts";

/** A word that a shell may offer, and what it says of it. */
export interface Candidate {
  readonly word: string;
  readonly about: string;
}

/** Things to be looked for, since they are not in the command line's own table. */
export interface Question {
  readonly kind: "ask";
  readonly what: Completed;
  /** What of the thing's name is there already. */
  readonly begun: string;
  /** What of the word stands before it: `--container=`. */
  readonly lead: string;
  /** What was said before, to know whom to ask. */
  readonly command: Command;
  readonly parsed: ParsedArguments;
}

/** What to offer for the last word of a command line. */
export type CompletionPlan = Question | { readonly kind: "words"; readonly words: readonly Candidate[] };

const nothing: CompletionPlan = { kind: "words", words: [] };

/** Reads a command line whose last word is being written; the program's name is not of it. */
export function planCompletion(commands: readonly Command[], line: readonly string[]): CompletionPlan {
  const words = line[0] === "help" && line.length > 1 ? line.slice(1) : line;
  const shown = commands.filter(({ hidden }) => hidden !== true);
  const [first = "", second = ""] = words;
  if (words.length <= 1) return offer(firstWords(shown), first);
  const group = shown.filter(({ name }) => name.startsWith(`${first} `));
  if (group.length > 0 && words.length === 2) {
    return offer(
      group.map(({ name, summary }) => ({ word: name.slice(first.length + 1), about: summary })),
      second,
    );
  }
  const command = shown.find(({ name }) => name === first || name === `${first} ${second}`);
  if (command === undefined) return nothing;
  return planArguments(command, words.slice(command.name.split(" ").length));
}

function firstWords(shown: readonly Command[]): Candidate[] {
  const groups = new Map(
    shown.map(({ name, summary }) => {
      const [first = ""] = name.split(" ");
      return [first, first === name ? summary : `Commands about ${first}s`];
    }),
  );
  return [...[...groups].map(([word, about]) => ({ word, about })), { word: "help", about: "Show the help of a command" }];
}

function planArguments(command: Command, words: readonly string[]): CompletionPlan {
  const flags = [...command.flags, helpFlag];
  const { ownWords = Infinity } = command;
  const current = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const owner = openFlag(before, flags, command);
  if (owner !== undefined) return planValue(owner.spec, current, "", command, owner.parsed);
  const parsed = tryParse(before, flags, command);
  if (parsed === undefined || parsed.rest !== undefined) return nothing;
  const { positionals } = parsed;
  if (current.startsWith("-") && positionals.length < ownWords) {
    const inline = /^--([^=]+)=/.exec(current);
    const spec = flags.find(({ name }) => name === inline?.[1]);
    if (inline === null) return offer(flags.flatMap(flagWords), current);
    return spec === undefined ? nothing : planValue(spec, current.slice(inline[0].length), inline[0], command, parsed);
  }
  const what = command.completes?.[Math.min(positionals.length, command.completes.length - 1)] ?? "nothing";
  return { kind: "ask", what, begun: current, lead: "", command, parsed };
}

/** The flag whose value the next word is, with what was said before it. */
function openFlag(
  before: readonly string[],
  flags: readonly FlagSpec[],
  command: Command,
): { spec: FlagSpec; parsed: ParsedArguments } | undefined {
  const last = before.at(-1) ?? "";
  if (!/^-./.test(last) || last.includes("=")) return undefined;
  const parsed = tryParse(before.slice(0, -1), flags, command);
  if (parsed === undefined || parsed.rest !== undefined || parsed.positionals.length >= (command.ownWords ?? Infinity)) return undefined;
  const spec = flags.find(({ name, short }) => (last.startsWith("--") ? last === `--${name}` : last.at(-1) === short));
  return spec === undefined || spec.kind === "boolean" ? undefined : { spec, parsed };
}

function planValue(spec: FlagSpec, begun: string, lead: string, command: Command, parsed: ParsedArguments): CompletionPlan {
  if (spec.choices === undefined) return { kind: "ask", what: spec.completes ?? "nothing", begun, lead, command, parsed };
  return offer(
    spec.choices.map((choice) => ({ word: `${lead}${choice}`, about: "" })),
    `${lead}${begun}`,
  );
}

/** What was said, or undefined where it makes no sense. */
function tryParse(words: readonly string[], flags: readonly FlagSpec[], command: Command): ParsedArguments | undefined {
  try {
    return parseArguments(words, flags, command);
  } catch (cause) {
    if (cause instanceof CliError) return undefined;
    throw cause;
  }
}

function flagWords({ name, short, about }: FlagSpec): Candidate[] {
  const long = { word: `--${name}`, about };
  return short === undefined ? [long] : [{ word: `-${short}`, about }, long];
}

function offer(candidates: readonly Candidate[], begun: string): CompletionPlan {
  return { kind: "words", words: candidates.filter(({ word }) => word.startsWith(begun)) };
}
