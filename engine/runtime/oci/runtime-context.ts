import { join } from "node:path";
import type { Cleanups, Clock, Logger } from "@peapod/kit";
import type { Cgroups } from "./machine/cgroups.ts";
import type { RuntimeCommand } from "./machine/runtime-command.ts";
import type { Gatekeeper } from "./monitor/gatekeeper.ts";
import type { MachineFacts } from "./spec/oci-config.ts";
import type { OciSeccomp } from "./spec/oci-spec.ts";

/** What every part of the OCI runtime works with. */
export interface RuntimeContext {
  readonly runtime: RuntimeCommand;
  readonly conmonPath: string;
  readonly logMaxSizeBytes: number | undefined;
  readonly catatonitPath: string;
  readonly gatekeeper: Gatekeeper;
  readonly directories: RunDirectories;
  readonly cgroups: Cgroups;
  readonly machine: MachineFacts;
  readonly seccomp: OciSeccomp | undefined;
  readonly bootId: string;
  readonly clock: Clock;
  readonly cleanups: Cleanups;
  readonly log: Logger;
}

/** Everything under the run directory that is the runtime's. */
export interface RunDirectories {
  /** One bundle for each container. */
  readonly containers: string;
  /** One directory for each sandbox, with its pinned namespaces. */
  readonly sandboxes: string;
  /** Exit codes, one file for each ended container, written by conmon. */
  readonly exits: string;
  /** The OCI runtime's own state. */
  readonly runtime: string;
  /** The pause process's root file system. */
  readonly pauseRoot: string;
}

/** The directories below `runDir`. */
export function runDirectories(runDir: string): RunDirectories {
  return {
    containers: join(runDir, "containers"),
    sandboxes: join(runDir, "sandboxes"),
    exits: join(runDir, "exits"),
    runtime: join(runDir, "runtime"),
    pauseRoot: join(runDir, "pause"),
  };
}
