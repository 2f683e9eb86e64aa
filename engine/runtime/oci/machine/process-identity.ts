import { isErrno } from "@peapod/kit";
import { readHead } from "./read-head.ts";

/** A process for as long as the machine is up: the kernel gives a pid again, but not with the same start time. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTime: string;
}

/** The process that has `pid` now; undefined where there is none, or only its zombie. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const found = readStat(pid);
  return found === undefined ? undefined : { pid, startTime: found.startTime };
}

/** The process that has `pid` now, with its session (setsid); undefined where there is none, or only its zombie. */
export function readStat(pid: number): (ProcessIdentity & { readonly session: number }) | undefined {
  const stat = readHead(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses, and may hold anything: count from the last parenthesis.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, , , session] = fields;
  const startTime = fields[19];
  if (startTime === undefined || state === "Z" || state === "X") return undefined;
  return { pid, startTime, session: Number(session) };
}

/** Tells whether this very process still runs; a zombie does not. */
export function isRunning(process: ProcessIdentity): boolean {
  return identifyProcess(process.pid)?.startTime === process.startTime;
}

/** Sends a signal to this very process; false where it is gone. */
export function signalProcess(target: ProcessIdentity, signal: NodeJS.Signals | number): boolean {
  if (!isRunning(target)) return false;
  try {
    return process.kill(target.pid, signal);
  } catch (cause) {
    if (isErrno(cause, "ESRCH")) return false;
    throw cause;
  }
}
