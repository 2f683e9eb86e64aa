import { setPriority } from "node:os";
import koffi from "koffi";

const libc = koffi.load("libc.so.6");
const setScheduler = libc.func("int sched_setscheduler(int pid, int policy, const uint8_t *parameters)");

/** From linux/sched.h. */
const SCHED_OTHER = 0;
const SCHED_RESET_ON_FORK = 0x4000_0000;
const NICE = -10;

/**
 * Has this thread, and it alone, go before ordinary processes: what it starts, processes and threads, has the ordinary priority. False where
 * this process may not.
 */
export function preferThisThread(): boolean {
  const parameters = Buffer.alloc(4); // struct sched_param: a priority of 0, the only one of this policy
  if (setScheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, parameters) !== 0) return false;
  try {
    setPriority(0, NICE); // Linux: of the calling thread
    return true;
  } catch {
    return false; // no CAP_SYS_NICE
  }
}
