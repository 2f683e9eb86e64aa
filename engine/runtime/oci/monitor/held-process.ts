import { type Stats, statSync } from "node:fs";
import { stat } from "node:fs/promises";
import { isErrno } from "@peapod/kit";
import { identifyProcess, isRunning, type ProcessIdentity } from "../machine/process-identity.ts";

/** A container's first process, as it was when the runtime held it: it still ran the runtime's own program, not the container's. */
export interface HeldProcess extends ProcessIdentity {
  /** Device and inode of the program. */
  readonly heldProgram: string;
}

/** The process that has `pid` now, held; undefined where there is none. */
export function identifyHeld(pid: number): HeldProcess | undefined {
  const identity = identifyProcess(pid);
  const heldProgram = programOf(pid);
  return identity === undefined || heldProgram === undefined ? undefined : { ...identity, heldProgram };
}

/** Tells whether a process lives and has not begun the container's program: the one thing that no crash of an engine can leave untrue. */
export function isStillHeld(held: HeldProcess): boolean {
  return programOf(held.pid) === held.heldProgram && isRunning(held);
}

/** `isStillHeld`, but another thread waits: the kernel may be loading the program, and holds back whoever asks meanwhile. */
export async function isStillHeldSoon(held: HeldProcess): Promise<boolean> {
  try {
    return nameOf(await stat(`/proc/${held.pid}/exe`)) === held.heldProgram && isRunning(held);
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ESRCH")) return false;
    throw cause;
  }
}

/** Tells whether this very process runs a program. One that is ending has none any more, though it is there until its children are gone. */
export function runsProgram(process: ProcessIdentity): boolean {
  return programOf(process.pid) !== undefined && isRunning(process);
}

/** Which file a process runs; undefined where it is gone. The runtime's may be a copy in memory without a name. */
function programOf(pid: number): string | undefined {
  try {
    return nameOf(statSync(`/proc/${pid}/exe`));
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ESRCH")) return undefined;
    throw cause;
  }
}

function nameOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}
