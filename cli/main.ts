/** The `peapod` command. usage: main.ts COMMAND [ARGUMENT...] */
import { nearestName } from "@peapod/api/suggest";
import { parseArguments } from "./arguments.ts";
import { CliError, exitCodes, usageError } from "./cli-error.ts";
import type { Command } from "./command.ts";
import { commands } from "./commands.ts";
import { parseConfig, withFlags } from "./config.ts";
import { helpFlag } from "./flags.ts";
import { Interrupts } from "./interrupts.ts";
import { Terminal } from "./terminal.ts";

const config = parseConfig(process.env);
const terminal = new Terminal({ stdout: process.stdout, stderr: process.stderr, noColor: config.noColor });
const interrupts = new Interrupts();
interrupts.listen();
process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => report(error));

async function main(words: readonly string[]): Promise<number> {
  const [first] = words;
  if (first === "--version") return await main(["version"]);
  const wantsHelp = first === undefined || first === "help" || first === "--help" || first === "-h";
  if (wantsHelp && words.length > 1 && first === "help") return await main([...words.slice(1), "--help"]);
  if (wantsHelp) {
    const { globalHelp } = await import("./help.ts");
    terminal.write(globalHelp(commands, config.program));
    return first === undefined ? exitCodes.usage : exitCodes.success;
  }
  const { command, after } = findCommand(words);
  if (command === undefined) {
    const { groupHelp } = await import("./help.ts");
    terminal.write(groupHelp(first, commands, config.program));
    return after.includes("--help") || after.includes("-h") ? exitCodes.success : exitCodes.usage;
  }
  const parsed = parseArguments(after, [...command.flags, helpFlag], command);
  if (parsed.flags.boolean("help")) {
    const { commandHelp } = await import("./help.ts");
    terminal.write(commandHelp(command, config.program));
    return exitCodes.success;
  }
  const run = await command.load();
  return await run({ ...parsed, config: withFlags(config, command, parsed), terminal, signal: interrupts.first, interrupts });
}

/** The command that the first words name; none where they only begin one, such as `image`. Throws a usage error with what is near. */
function findCommand(words: readonly string[]): { command: Command | undefined; after: readonly string[] } {
  const [first = "", second = ""] = words;
  const command = commands.find(({ name }) => name === first);
  if (command !== undefined) return { command, after: words.slice(1) };
  const group = commands.filter(({ name }) => name.startsWith(`${first} `));
  if (group.length === 0) {
    const shown = commands.filter(({ hidden }) => hidden !== true);
    const near = nearestName(first, [...new Set(shown.map(({ name }) => name.split(" ")[0] ?? ""))]);
    throw usageError(`Unknown command "${first}"${near === undefined ? "." : `, did you mean ${near}?`} See ${config.program} --help`);
  }
  const member = group.find(({ name }) => name === `${first} ${second}`);
  if (member !== undefined) return { command: member, after: words.slice(2) };
  if (second === "" || second.startsWith("-")) return { command: undefined, after: words.slice(1) };
  const near = nearestName(
    second,
    group.map(({ name }) => name.split(" ")[1] ?? ""),
  );
  throw usageError(
    `Unknown command "${first} ${second}"${near === undefined ? "." : `, did you mean ${first} ${near}?`} See ${config.program} ${first} --help`,
  );
}

function report(error: unknown): number {
  terminal.show([]);
  if (interrupts.first.aborted && error instanceof Error && error.name === "AbortError") return interrupts.exitCode;
  const expected = error instanceof CliError || (error instanceof Error && ["ApiError", "KubeconfigError"].includes(error.name));
  if (expected) {
    terminal.note(`${terminal.paintNote("red", "peapod:")} ${error.message}`);
    return error instanceof CliError ? error.exitCode : exitCodes.failure;
  }
  terminal.note(`peapod: this is a bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return exitCodes.failure;
}
