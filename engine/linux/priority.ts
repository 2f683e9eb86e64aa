import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import koffi from "koffi";

const libc = koffi.load("libc.so.6");
const setScheduler = libc.func("int sched_setscheduler(int pid, int policy, const uint8_t *parameters)");

/** From linux/sched.h. */
const SCHED_OTHER = 0;
const SCHED_RESET_ON_FORK = 0x4000_0000;
const NICE = -10;
/** sched(7): where there is one, sessions share the processor, and a nice value counts within its session alone. */
const AUTOGROUP = "/proc/self/autogroup";

/**
 * Has the threads that this process has by now go before ordinary processes: the one that answers, and those that it waits for when it collects
 * garbage. What they start, processes and threads, has the ordinary priority. False where this process may not.
 */
export function preferThisProcess(): boolean {
  const parameters = Buffer.alloc(4); // struct sched_param: a priority of 0, the only one of this policy
  try {
    for (const thread of readdirSync("/proc/self/task").map(Number)) {
      if (setScheduler(thread, SCHED_OTHER | SCHED_RESET_ON_FORK, parameters) !== 0) return false;
      setPriority(thread, NICE); // Linux: of this thread alone
    }
    // A terminal's session has others in it, too: they stay as they are.
    if (isSessionLeader()) writeFileSync(AUTOGROUP, String(NICE));
    return true;
  } catch {
    return false; // no CAP_SYS_NICE, or a kernel without such groups
  }
}

function isSessionLeader(): boolean {
  const stat = readFileSync("/proc/self/stat", "latin1");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3]) === process.pid; // field 6 of proc_pid_stat(5)
}
