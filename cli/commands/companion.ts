import { companions } from "../../companions/companions.ts";
import { nearestName } from "@peapod/api/suggest";
import { CliError, exitCodes, usageError } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { formatTable } from "../table.ts";

/** `peapod companion`: lists the companions, or becomes one, so that signals and exit code are its own. It shares no code with it. */
export async function companion({ positionals: [name, ...words], rest, terminal }: Invocation): Promise<number> {
  const known = companions();
  if (name === undefined) {
    terminal.write(
      formatTable(
        ["COMPANION", "WHAT IT DOES"],
        known.map(({ name: each, about }) => [each, about]),
      ),
    );
    return exitCodes.success;
  }
  const found = known.find((one) => one.name === name);
  if (found === undefined) {
    const names = known.map((one) => one.name);
    const near = nearestName(name, names);
    throw usageError(`There is no companion "${name}"${near === undefined ? `: there is ${names.join(", ")}` : `, did you mean ${near}?`}`);
  }
  const environment = Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));
  process.execve?.(process.execPath, [process.execPath, found.main, ...words, ...(rest === undefined ? [] : ["--", ...rest])], environment);
  throw new CliError("This Node.js cannot become another program");
}

/** Which companions there are. */
export function companionNames(): string[] {
  return companions().map(({ name }) => name);
}
