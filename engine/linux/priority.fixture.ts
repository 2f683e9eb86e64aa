import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { preferThisThread } from "./priority.ts";

/** Raises itself, then says what it and what it starts have. */
function niceOf(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]); // field 19 of proc_pid_stat(5)
}
const own = (): number => niceOf(readFileSync("/proc/thread-self/stat", "latin1"));

if (isMainThread) {
  const isAllowed = preferThisThread();
  const child = niceOf(execFileSync("cat", ["/proc/self/stat"], { encoding: "latin1" }));
  const [thread] = (await once(new Worker(new URL(import.meta.url)), "message")) as [number];
  process.stdout.write(JSON.stringify({ isAllowed, own: own(), child, thread }));
} else parentPort?.postMessage(own());
