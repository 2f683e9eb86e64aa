import { readFile } from "node:fs/promises";
import { exitCodes, usageError } from "../cli-error.ts";
import type { Invocation } from "../command.ts";

/** The shells that have a script. */
export const shells: readonly string[] = ["bash", "zsh", "fish"];

/** `peapod completion bash|zsh|fish`: prints a script for that shell. It asks `peapod __complete` for what may stand in a place. */
export async function completion({ positionals, terminal }: Invocation): Promise<number> {
  const [shell = ""] = positionals;
  if (!shells.includes(shell)) throw usageError(`Name a shell: ${shells.join(", ")}`);
  terminal.write(await readFile(new URL(`../completion/peapod.${shell}`, import.meta.url), "utf8"));
  return exitCodes.success;
}
