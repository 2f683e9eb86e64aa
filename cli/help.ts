import { usageOf } from "./arguments.ts";
import type { Command } from "./command.ts";
import { helpFlag } from "./flags.ts";

/** The help of everything. */
export function globalHelp(commands: readonly Command[], program: string): string {
  const shown = commands.filter((command) => command.hidden !== true);
  return [
    "peapod runs Kubernetes pods on one Linux machine, without a cluster.",
    "",
    `Usage: ${program} COMMAND [ARGUMENT...]`,
    "",
    "Commands:",
    ...columns(shown.map((command) => [command.name, command.summary])),
    "",
    "Examples:",
    ...columns([
      [`${program} up pod.yaml`, "run a pod and show its log; Ctrl-C deletes it"],
      [`${program} up -d pod.yaml`, "run it in the background; down ends it"],
      [`${program} doctor`, "what this machine has and lacks"],
    ]),
    "",
    `Each command has its own help: ${program} COMMAND --help`,
    "",
    "Exit codes: 0 all went well; 1 something failed; 64 the command line makes no sense; 130 interrupted.",
    "exec gives the exit code of the command it ran.",
    "",
  ].join("\n");
}

/** The help of one command. */
export function commandHelp(command: Command, program: string): string {
  return [
    `${command.summary}.`,
    "",
    `Usage: ${usageLine(command, program)}`,
    ...(command.details === undefined ? [] : ["", command.details]),
    "",
    "Flags:",
    ...columns([...command.flags, helpFlag].map((flag) => [flag.short === undefined ? `    ${usageOf(flag)}` : usageOf(flag), flag.about])),
    "",
    "Examples:",
    ...columns(command.examples.map(({ line, about }) => [`${program} ${line}`, about])),
    "",
  ].join("\n");
}

/** The help of a word that several commands begin with, such as `image`. */
export function groupHelp(group: string, commands: readonly Command[], program: string): string {
  const members = commands.filter((command) => command.name.startsWith(`${group} `));
  return [
    `Usage: ${program} ${group} COMMAND [ARGUMENT...]`,
    "",
    "Commands:",
    ...columns(members.map((command) => [command.name, command.summary])),
    "",
    "Examples:",
    ...columns(members.flatMap(({ examples }) => examples).map(({ line, about }) => [`${program} ${line}`, about])),
    "",
  ].join("\n");
}

/** How a command is called, in a line. */
export function usageLine(command: Command, program: string): string {
  return [program, command.name, "[FLAG...]", command.usage].filter((part) => part !== "").join(" ");
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.min(60, Math.max(...rows.map(([left]) => left.length)));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd());
}
