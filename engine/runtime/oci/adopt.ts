import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ContainerEntry } from "./container-entry.ts";
import { type ContainerProcesses, type ContainerRecord, readRecord, recordFiles } from "./container-record.ts";
import type { RuntimeContext } from "./runtime-context.ts";
import { isHeld } from "./start-gate.ts";

/**
 * The containers that an earlier engine left, from their bundles. One is `created` while the runtime still holds it; a creation that
 * the last engine did not see through is `created` too, without processes: it can only be removed.
 */
export function adoptContainers({ directories, runtime, bootId, cleanups }: RuntimeContext): ContainerEntry[] {
  return readdirSync(directories.containers).flatMap((id) => {
    const bundle = join(directories.containers, id);
    const record = readRecord<ContainerRecord>(bundle, recordFiles.container);
    if (record === undefined) {
      // The record is written before anything is made.
      void cleanups.attempt(`remove ${bundle}`, () => rmSync(bundle, { recursive: true, force: true }));
      return [];
    }
    const processes = readRecord<ContainerProcesses>(bundle, recordFiles.processes);
    const startedAtMs = readRecord<number>(bundle, recordFiles.started);
    const wasStarted = record.bootId !== bootId || !isHeld(runtime.root, id);
    return [new ContainerEntry(record, bundle, processes, wasStarted ? startedAtMs : undefined)];
  });
}
