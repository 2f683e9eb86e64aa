import type { Invocation } from "./command.ts";

/** Prints a value as `-o json` or `-o yaml` asks. */
export async function printValue({ terminal, flags }: Invocation, value: unknown): Promise<number> {
  if (flags.string("output") === "yaml") {
    const { stringify } = await import("yaml");
    terminal.write(stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 }));
  } else {
    terminal.line(JSON.stringify(value, undefined, 2));
  }
  return 0;
}
