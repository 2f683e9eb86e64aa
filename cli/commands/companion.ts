import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { nearestName } from "@peapod/api/suggest";
import { CliError, exitCodes, usageError } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { formatTable } from "../table.ts";

const folder = fileURLToPath(new URL("../../companions/", import.meta.url));

/** `peapod companion`: lists the companions, or becomes one, so that signals and exit code are its own. */
export async function companion({ positionals: [name, ...words], rest, terminal }: Invocation): Promise<number> {
  const known = readCompanions();
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
  return readCompanions().map(({ name }) => name);
}

interface Companion {
  readonly name: string;
  readonly about: string;
  readonly main: string;
}

/** Each is a program in a folder of its own; the command line starts it, and shares no code with it. */
function readCompanions(): Companion[] {
  return readdirSync(folder)
    .map((name) => ({ name, main: join(folder, name, "main.ts"), about: join(folder, name, "package.json") }))
    .filter(({ main, name }) => name !== "image" && existsSync(main)) // `image` makes their images
    .map(({ name, main, about }) => ({ name, main, about: descriptionIn(about) }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function descriptionIn(path: string): string {
  const { description } = JSON.parse(readFileSync(path, "utf8")) as { description?: string }; // the repository's own file
  return description ?? "";
}
