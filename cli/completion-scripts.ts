import type { FlagSpec } from "./arguments.ts";
import type { Command } from "./command.ts";
import { helpFlag } from "./flags.ts";

/** Kinds as `peapod fields` takes them. */
const kinds = ["pod", "configmap", "secret", "namespace"];
const shells = ["bash", "zsh", "fish"];
/** Asked at the moment of completion, quietly: without an engine or the right to ask there is nothing to offer. */
const podNames = "peapod ps 2>/dev/null | awk 'NR > 1 && /^[^ ]/ { print $1 }'";

/** A completion script for bash; works without the bash-completion package. */
export function bashCompletion(commands: readonly Command[]): string {
  const cases = visible(commands).flatMap((command) => {
    const values = command.flags.filter(takesValue).map((flag) => `      ${flagWords(flag).join("|")}) ${bashValues(flag)}; return ;;`);
    return [
      `    "${command.name}")`,
      ...(values.length === 0 ? [] : ['      case "$previous" in', ...values, "      esac"]),
      `      if [[ $word == -* ]]; then COMPREPLY=($(compgen -W "${allFlags(command).flatMap(flagWords).join(" ")}" -- "$word")); return; fi`,
      `      ${bashWords(command)} ;;`,
    ];
  });
  return [
    "# bash completion for peapod",
    "_peapod() {",
    "  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]-}",
    "  COMPREPLY=()",
    `  if ((COMP_CWORD == 1)); then COMPREPLY=($(compgen -W "${firstWords(commands).join(" ")} help" -- "$word")); return; fi`,
    ...groups(commands).map(
      ({ group, members }) =>
        `  if [[ $command == ${group} ]]; then if ((COMP_CWORD == 2)); then COMPREPLY=($(compgen -W "${members.join(" ")}" -- "$word")); return; fi; command="${group} \${COMP_WORDS[2]}"; fi`,
    ),
    '  case "$command" in',
    ...cases,
    "  esac",
    "}",
    "complete -o filenames -F _peapod peapod ./peapod",
    "",
  ].join("\n");
}

/** A completion script for zsh. */
export function zshCompletion(commands: readonly Command[]): string {
  const cases = visible(commands).flatMap((command) => [
    `    "${command.name}")`,
    `      _arguments -s \\`,
    ...allFlags(command).map((flag) => `        ${zshFlag(flag)} \\`),
    `        ${zshWords(command)} ;;`,
  ]);
  return [
    "#compdef peapod",
    "# zsh completion for peapod",
    "_peapod() {",
    "  local command=${words[2]-}",
    "  if ((CURRENT == 2)); then",
    `    local -a all=(${firstWords(commands)
      .map((word) => zshQuote(`${word}:${summaryOf(commands, word)}`))
      .join(" ")})`,
    "    _describe command all; return",
    "  fi",
    ...groups(commands).flatMap(({ group, members }) => [
      `  if [[ $command == ${group} ]]; then`,
      `    if ((CURRENT == 3)); then compadd -- ${members.join(" ")}; return; fi`,
      `    command="${group} \${words[3]}"; shift words; ((CURRENT--))`,
      "  fi",
    ]),
    "  shift words; ((CURRENT--))",
    '  case "$command" in',
    ...cases,
    "  esac",
    "}",
    'if [[ $funcstack[1] == _peapod ]]; then _peapod "$@"; else compdef _peapod peapod; fi',
    "",
  ].join("\n");
}

/** A completion script for fish. */
export function fishCompletion(commands: readonly Command[]): string {
  const lines = firstWords(commands).map(
    (word) => `complete -c peapod -n __fish_use_subcommand -f -a ${word} -d ${fishQuote(summaryOf(commands, word))}`,
  );
  for (const { group, members } of groups(commands)) {
    lines.push(
      `complete -c peapod -n "__fish_seen_subcommand_from ${group}; and not __fish_seen_subcommand_from ${members.join(" ")}" -f -a "${members.join(" ")}"`,
    );
  }
  for (const command of visible(commands)) {
    const condition = command.name
      .split(" ")
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join("; and ");
    for (const flag of allFlags(command)) {
      const short = flag.short === undefined ? "" : ` -s ${flag.short}`;
      const value = !takesValue(flag)
        ? ""
        : flag.choices !== undefined
          ? ` -x -a "${flag.choices.join(" ")}"`
          : flag.completes === undefined
            ? " -x"
            : " -r";
      lines.push(`complete -c peapod -n "${condition}"${short} -l ${flag.name}${value} -d ${fishQuote(flag.about)}`);
    }
    const words = command.completes === "pod" ? `(${podNames})` : fixedWords(command)?.join(" ");
    if (words !== undefined) lines.push(`complete -c peapod -n "${condition}" -f -a "${words.replaceAll("$", "\\$")}"`);
  }
  return `# fish completion for peapod\n${lines.join("\n")}\n`;
}

function visible(commands: readonly Command[]): Command[] {
  return commands.filter(({ hidden }) => hidden !== true);
}

function firstWords(commands: readonly Command[]): string[] {
  return [...new Set(visible(commands).map(({ name }) => name.split(" ")[0] ?? name))];
}

function groups(commands: readonly Command[]): { group: string; members: string[] }[] {
  const nested = visible(commands).filter(({ name }) => name.includes(" "));
  return [...Map.groupBy(nested, ({ name }) => name.split(" ")[0] ?? "")].map(([group, members]) => ({
    group,
    members: members.map(({ name }) => name.split(" ")[1] ?? ""),
  }));
}

function summaryOf(commands: readonly Command[], word: string): string {
  return commands.find(({ name }) => name === word)?.summary ?? `Commands about ${word}s`;
}

function allFlags(command: Command): FlagSpec[] {
  return [...command.flags, helpFlag];
}

function takesValue(flag: FlagSpec): boolean {
  return flag.kind !== "boolean";
}

function flagWords(flag: FlagSpec): string[] {
  return flag.short === undefined ? [`--${flag.name}`] : [`-${flag.short}`, `--${flag.name}`];
}

function fixedWords(command: Command): readonly string[] | undefined {
  return command.completes === "kind" ? kinds : command.completes === "shell" ? shells : undefined;
}

function bashValues(flag: FlagSpec): string {
  if (flag.choices !== undefined) return `COMPREPLY=($(compgen -W "${flag.choices.join(" ")}" -- "$word"))`;
  return flag.completes === undefined ? ":" : `COMPREPLY=($(compgen -${flag.completes === "file" ? "f" : "d"} -- "$word"))`;
}

function bashWords(command: Command): string {
  if (command.completes === "file") return 'COMPREPLY=($(compgen -f -- "$word"))';
  if (command.completes === "pod") return `COMPREPLY=($(compgen -W "$(${podNames})" -- "$word"))`;
  const words = fixedWords(command);
  return words === undefined ? ":" : `COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$word"))`;
}

function zshFlag(flag: FlagSpec): string {
  const about = flag.about.replaceAll(/[[\]:]/g, "");
  const action = flag.choices !== undefined ? `(${flag.choices.join(" ")})` : flag.completes === undefined ? " " : "_files";
  const value = takesValue(flag) ? `:${(flag.value ?? "value").toLowerCase()}:${action}` : "";
  const repeats = flag.kind === "list" ? "*" : "";
  return flagWords(flag)
    .map((word) => zshQuote(`${repeats}${word}[${about}]${value}`))
    .join(" ");
}

function zshWords(command: Command): string {
  if (command.completes === "file") return "'*:file:_files'";
  if (command.completes === "pod") return `'*:pod:{compadd -- $(${podNames.replaceAll("'", `'\\''`)})}'`;
  const words = fixedWords(command);
  return words === undefined ? "'*: : '" : `'*:word:(${words.join(" ")})'`;
}

function zshQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function fishQuote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
