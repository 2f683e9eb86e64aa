import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { preferThisProcess } from "./priority.ts";

/** Raises itself, then says what it and what it starts have. */
function niceOf(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]); // field 19 of proc_pid_stat(5)
}
const outputOf = (command: string, args: readonly string[]): string => spawnSync(command, args, { encoding: "utf8" }).stdout;
const groupNice = (text: string): number => Number(text.trim().split(" ").at(-1)); // `/autogroup-7 nice 0`

if (isMainThread) {
  const isAllowed = preferThisProcess();
  const own = readdirSync("/proc/self/task").map((thread) => niceOf(readFileSync(`/proc/self/task/${thread}/stat`, "latin1")));
  const child = niceOf(outputOf("cat", ["/proc/self/stat"]));
  const [thread] = (await once(new Worker(new URL(import.meta.url)), "message")) as [number];
  const groups = [readFileSync("/proc/self/autogroup", "utf8"), outputOf("setsid", ["cat", "/proc/self/autogroup"])].map(groupNice);
  process.stdout.write(JSON.stringify({ isAllowed, own: [...new Set(own)], child, thread, groups }));
} else parentPort?.postMessage(niceOf(readFileSync("/proc/thread-self/stat", "latin1")));
