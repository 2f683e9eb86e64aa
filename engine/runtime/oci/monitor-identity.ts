import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "@peapod/kit";
import { bundleFiles } from "./conmon.ts";
import { identifyProcess, type ProcessIdentity } from "./process-identity.ts";

/** The conmon of a bundle; nothing where it has ended or its pid is somebody else's now. */
export function findMonitor(bundle: string): { readonly monitor?: ProcessIdentity } {
  const pid = readNumber(join(bundle, bundleFiles.monitorPid));
  const monitor = pid === undefined || !commandLine(pid).includes(bundle) ? undefined : identifyProcess(pid);
  return monitor === undefined ? {} : { monitor };
}

/** The container process whose pid the runtime wrote into a bundle; undefined where it wrote none or it has ended. */
export function findContainerProcess(bundle: string): ProcessIdentity | undefined {
  const pid = readNumber(join(bundle, bundleFiles.pid));
  return pid === undefined ? undefined : identifyProcess(pid);
}

function readNumber(path: string): number | undefined {
  const number = Number.parseInt(readIfPresent(path), 10);
  return Number.isNaN(number) ? undefined : number;
}

function commandLine(pid: number): string {
  return readIfPresent(`/proc/${pid}/cmdline`);
}

function readIfPresent(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ESRCH")) return "";
    throw cause;
  }
}
