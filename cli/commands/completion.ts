import { usageError } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { commands } from "../commands.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "../completion-scripts.ts";

const scripts = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

/** `peapod completion bash|zsh|fish`: prints a script for that shell. */
export async function completion({ positionals, terminal }: Invocation): Promise<number> {
  const [shell = ""] = positionals;
  const script = Object.entries(scripts).find(([name]) => name === shell)?.[1];
  if (script === undefined) throw usageError(`Name a shell: ${Object.keys(scripts).join(", ")}`);
  terminal.write(script(commands));
  return 0;
}
