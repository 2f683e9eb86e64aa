import type { Invocation } from "../command.ts";
import { rootError } from "../administrator.ts";
import { engineProgram } from "../engine-process.ts";

/** `peapod serve`: becomes the engine, so that signals and exit code are the engine's own. */
export async function serve({ config }: Invocation): Promise<number> {
  if (!config.isRoot) throw rootError(config, "to run containers");
  const words = process.argv.slice(process.argv.indexOf("serve"));
  const environment = Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));
  process.execve?.(process.execPath, [process.execPath, engineProgram, ...words], environment);
  throw new Error("This Node.js cannot become another program");
}
