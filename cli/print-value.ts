import { LargeInteger } from "@peapod/api";
import type { Invocation } from "./command.ts";

/** Prints a value as `-o json` or `-o yaml` asks. */
export async function printValue({ terminal, flags }: Pick<Invocation, "terminal" | "flags">, value: unknown): Promise<number> {
  if (flags.string("output") === "yaml") {
    const { stringify } = await import("yaml");
    const exact = (_key: unknown, each: unknown): unknown => (each instanceof LargeInteger ? BigInt(each.text) : each);
    terminal.write(stringify(value, exact, { aliasDuplicateObjects: false, lineWidth: 0 }));
  } else {
    terminal.line(JSON.stringify(value, undefined, 2));
  }
  return 0;
}
