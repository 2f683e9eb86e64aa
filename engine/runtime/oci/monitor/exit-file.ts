import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "@peapod/kit";
import type { Cgroups } from "../machine/cgroups.ts";
import { bundleFiles } from "./conmon.ts";
import type { ContainerEntry } from "../container/container-entry.ts";

/** How a container ended, from what conmon left: the file `exits/ID` holds its exit code, 128 + n after signal n. */
export interface ExitFacts {
  readonly exitCode: number;
  readonly finishedAtMs: number;
}

/** The exit of a container; undefined while conmon has written none. */
export function readExitFile(exits: string, containerId: string): ExitFacts | undefined {
  const path = join(exits, containerId);
  try {
    const exitCode = Number.parseInt(readFileSync(path, "utf8"), 10);
    return Number.isNaN(exitCode) ? undefined : { exitCode, finishedAtMs: Math.round(statSync(path).mtimeMs) };
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return undefined;
    throw cause;
  }
}

/** Tells whether the kernel killed a process of an ended container for memory: conmon saw it, or its cgroup still counts it. */
export function wasOomKilled(cgroups: Cgroups, entry: ContainerEntry): boolean {
  return existsSync(join(entry.bundle, bundleFiles.oom)) || cgroups.countOomKills(entry.record.cgroupPath) > 0;
}
