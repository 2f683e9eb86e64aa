import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "@peapod/kit";
import type { Cgroups } from "../machine/cgroups.ts";
import { readStat, signalProcess } from "../machine/process-identity.ts";
import { readHead } from "../machine/read-head.ts";

/** What the names of an exec's files in a bundle begin with. */
export const EXEC_PREFIX = "exec-";

const TICKS_PER_SECOND = 100; // USER_HZ, the same on every machine
const SLACK_SECONDS = 2;

/** Where a container's commands are. */
export interface CommandPlace {
  readonly bundle: string;
  readonly cgroupPath: string;
  /** The container's first process, which is no command; undefined where it never came to be. */
  readonly firstPid: number | undefined;
}

/** Ends the commands that an earlier engine ran in a container and removes their files: nobody reads what they say any more. */
export function endLeftExecs(cgroups: Cgroups, place: CommandPlace): void {
  const { bundle } = place;
  const files = readdirSync(bundle).filter((name) => name.startsWith(EXEC_PREFIX));
  if (files.length === 0) return;
  const runtimes = processesNaming(join(bundle, EXEC_PREFIX));
  for (const pid of runtimes) {
    endCommandOf(cgroups, place, pid);
    const runtime = readStat(pid);
    if (runtime !== undefined) signalProcess(runtime, "SIGKILL");
  }
  for (const name of files.filter((one) => one.endsWith(".pid"))) {
    const path = join(bundle, name);
    const leader = Number(readHead(path).trim());
    if (!isYounger(leader, statSync(path).mtimeMs)) endSession(cgroups, place, leader);
  }
  for (const name of files) rmSync(join(bundle, name), { force: true });
}

/** Ends the command that a runtime's `exec` started: its child, which may run before there is a pid file. */
export function endCommandOf(cgroups: Cgroups, place: CommandPlace, runtimePid: number): void {
  for (const one of [runtimePid, ...childrenOf(runtimePid)]) endSession(cgroups, place, one);
}

/**
 * Kills what is in a process's session and in the container's cgroup: a command with all that it started, also after it died itself. runc makes
 * each command the leader of a session, crun leaves it in the one that its own process leads.
 */
export function endSession(cgroups: Cgroups, { cgroupPath, firstPid }: CommandPlace, member: number): void {
  const session = readStat(member)?.session ?? member;
  if (firstPid !== undefined && readStat(firstPid)?.session === session) return;
  for (const pid of cgroups.processes(cgroupPath)) {
    const process = readStat(pid);
    if (process?.session === session || process?.pid === member) signalProcess(process, "SIGKILL");
  }
}

/** The processes with a path on their command line. */
export function processesNaming(path: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && readHead(`/proc/${name}/cmdline`).includes(path))
    .map(Number);
}

/** Each thread has the children that it started itself. */
function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readHead(`/proc/${pid}/task/${thread}/children`)
        .split(" ")
        .filter((child) => child !== "")
        .map(Number),
    );
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ESRCH")) return [];
    throw cause;
  }
}

/** Whether the process that has `pid` began after that moment: then it is another one than was meant. */
function isYounger(pid: number, thanMs: number): boolean {
  const process = readStat(pid);
  if (process === undefined) return false;
  const upSeconds = Number.parseFloat(readHead("/proc/uptime"));
  const ageSeconds = upSeconds - Number(process.startTime) / TICKS_PER_SECOND;
  return ageSeconds + SLACK_SECONDS < (Date.now() - thanMs) / 1000;
}
