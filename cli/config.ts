import { homedir } from "node:os";
import { join } from "node:path";
import type { FlagSpec, ParsedArguments } from "./arguments.ts";

/** What the environment says; nobody else of the command line reads it. */
export interface CliConfig {
  /** Where the local engine keeps its objects and images. */
  readonly stateDir: string;
  /** Where the local engine keeps what a reboot may forget. */
  readonly runDir: string;
  /** Where a local engine that is started listens; undefined leaves it to the engine. */
  readonly listen: string | undefined;
  /** The cluster file that `--context` alone means. */
  readonly kubeconfig: string;
  /** Colours are not wanted, whatever the terminal can do: https://no-color.org */
  readonly noColor: boolean;
  /** How the user called us, for hints. */
  readonly program: string;
  readonly isRoot: boolean;
}

/** Reads the environment. */
export function parseConfig(env: NodeJS.ProcessEnv): CliConfig {
  return Object.freeze({
    stateDir: nonEmpty(env["PEAPOD_STATE_DIR"]) ?? "/var/lib/peapod",
    runDir: nonEmpty(env["PEAPOD_RUN_DIR"]) ?? "/run/peapod",
    listen: nonEmpty(env["PEAPOD_LISTEN"]),
    kubeconfig: nonEmpty(env["KUBECONFIG"]) ?? join(homedir(), ".kube", "config"),
    noColor: nonEmpty(env["NO_COLOR"]) !== undefined || env["TERM"] === "dumb",
    program: nonEmpty(env["PEAPOD_LAUNCHER"]) ?? "peapod",
    isRoot: process.getuid?.() === 0,
  });
}

/** The flags of the environment's names win over it. */
export function withFlags(base: CliConfig, command: { readonly flags: readonly FlagSpec[] }, { flags }: ParsedArguments): CliConfig {
  const said = (name: string): string | undefined => (command.flags.some((flag) => flag.name === name) ? flags.string(name) : undefined);
  return {
    ...base,
    stateDir: said("state-dir") ?? base.stateDir,
    runDir: said("run-dir") ?? base.runDir,
    listen: said("listen") ?? base.listen,
  };
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}
