import type { AmbassadorConfig } from "../config/config.ts";
import { type ConfigSource, loadConfig } from "../config/load-config.ts";

/** One line about a configuration that is valid. Throws CONFIG_INVALID with a line for each problem of one that is not. */
export function describeConfig(source: ConfigSource): string {
  const { listeners }: AmbassadorConfig = loadConfig(source);
  const where = source.kind === "file" ? source.path : "The environment";
  return `${where}: valid, ${listeners.length} ${listeners.length === 1 ? "listener" : "listeners"}`;
}
