import { join } from "node:path";
import { delay } from "@peapod/kit";
import { bundleFiles } from "./conmon.ts";
import { processesNaming } from "./left-execs.ts";
import { identifyProcess, type ProcessIdentity, signalProcess } from "../machine/process-identity.ts";
import { readHead } from "../machine/read-head.ts";

const KILL_WITHIN_MS = 5_000;

/** The conmon of a bundle; nothing where it has ended or its pid is somebody else's now. */
export function findMonitor(bundle: string): { readonly monitor?: ProcessIdentity } {
  const pid = readNumber(join(bundle, bundleFiles.monitorPid));
  const monitor = pid === undefined || !readHead(`/proc/${pid}/cmdline`).includes(bundle) ? undefined : identifyProcess(pid);
  return monitor === undefined ? {} : { monitor };
}

/**
 * Kills what still makes a container: conmon and the runtime's `create`, which name its bundle on their command lines. For a creation
 * that failed, was aborted or that an earlier engine died in; conmon may not have written its pid yet.
 */
export async function killHalfMade(bundle: string): Promise<void> {
  const deadline = performance.now() + KILL_WITHIN_MS;
  for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 50)) {
    const pids = processesNaming(bundle);
    const found = pids.map(identifyProcess).filter((process) => process !== undefined);
    if (found.length === 0) return;
    if (performance.now() > deadline) throw new Error(`Processes ${pids.join(", ")} do not end on SIGKILL`);
    for (const process of found) signalProcess(process, "SIGKILL");
    await delay(waitMs);
  }
}

function readNumber(path: string): number | undefined {
  const number = Number.parseInt(readHead(path), 10);
  return Number.isNaN(number) ? undefined : number;
}
