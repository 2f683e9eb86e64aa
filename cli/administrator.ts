import { join, resolve } from "node:path";
import { CliError } from "./cli-error.ts";
import type { CliConfig } from "./config.ts";

/** Where the engine of this state directory puts its administrator's kubeconfig. */
export function adminKubeconfigPath(config: CliConfig): string {
  return join(resolve(config.stateDir), "admin.kubeconfig");
}

/** What a command says that cannot go on without root. */
export function rootError(config: CliConfig, why: string): CliError {
  const line = process.argv.slice(2).map(quote).join(" ");
  return new CliError(`This needs root ${why}: sudo ${config.program} ${line}`);
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
