import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ContainerEntry } from "./container-entry.ts";
import { type ContainerProcesses, type ContainerRecord, readRecord, recordFiles } from "./container-record.ts";
import { endLeftExecs } from "../monitor/left-execs.ts";
import type { RuntimeContext } from "../runtime-context.ts";

/**
 * The containers that an earlier engine left, from their bundles. One that was to start has started, or will as soon as the start is seen
 * through; any other is `created`. A creation that the last engine did not see through is `created` too, without processes: it can only be
 * removed.
 */
export function adoptContainers({ directories, cgroups, cleanups }: RuntimeContext): ContainerEntry[] {
  return readdirSync(directories.containers).flatMap((id) => {
    const bundle = join(directories.containers, id);
    const record = readRecord<ContainerRecord>(bundle, recordFiles.container);
    if (record === undefined) {
      // The record is written before anything is made.
      void cleanups.attempt(`remove ${bundle}`, () => rmSync(bundle, { recursive: true, force: true }));
      return [];
    }
    const processes = readRecord<ContainerProcesses>(bundle, recordFiles.processes);
    const place = { bundle, cgroupPath: record.cgroupPath, firstPid: processes?.container.pid };
    void cleanups.attempt(`end the commands left in ${bundle}`, () => endLeftExecs(cgroups, place));
    const startedAtMs = readRecord<number>(bundle, recordFiles.started);
    return [new ContainerEntry(record, bundle, processes, startedAtMs)];
  });
}
