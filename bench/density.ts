import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Scope } from "@peapod/kit";
import { type BenchEngine, startEngine } from "./engine.ts";
import { median } from "./statistics.ts";
import { createUntilRunning, deleteUntilGone, IMAGE, threeContainers } from "./three-containers.ts";

const IDLE_MS = 60_000;

/** What fifty pods of three containers cost: memory outside the containers' own processes, start of the last, an idle minute. */
export async function density(args: readonly string[], signal: AbortSignal): Promise<void> {
  const count = Number(parseArgs({ args: [...args], options: { pods: { type: "string", default: "50" } } }).values.pods);
  await using scope = new Scope();
  const engine = await startEngine(scope, signal);
  await engine.peapod("image", "pull", IMAGE);
  const name = (index: number): string => `density-${index}`;
  const start = (index: number): Promise<number> => createUntilRunning(engine.client, threeContainers(name(index)), signal);
  await start(0); // warm-up
  await deleteUntilGone(engine.client, name(0), signal);
  await delay(2_000, undefined, { signal });
  const engineBefore = pssKib(engine.pid);
  const startsMs: number[] = [];
  for (let index = 1; index <= count; index++) startsMs.push(await start(index));
  process.stdout.write(`Started ${count} pods; now an idle minute\n`);
  await delay(5_000, undefined, { signal });
  const cpuBefore = cpuTicks(engine.pid);
  await delay(IDLE_MS, undefined, { signal });
  const cpuPercent = (100 * (cpuTicks(engine.pid) - cpuBefore) * 10) / IDLE_MS; // a tick is 10 ms
  const engineAfter = pssKib(engine.pid);
  const monitors = monitorsOf(engine);
  const monitorsKib = monitors.map(pssKib).reduce((sum, one) => sum + one, 0);
  const perPod = (monitorsKib + engineAfter - engineBefore) / 1024 / count;
  const edge = Math.min(10, Math.floor(count / 2));
  const [first, last] = [median(startsMs.slice(0, edge)), median(startsMs.slice(-edge))];
  process.stdout.write(`
${count} pods of three containers:
  memory outside the containers, a pod   ${perPod.toFixed(1)} MB  (aim: at most 10; ${monitors.length} monitors ${(monitorsKib / 1024).toFixed(0)} MB, engine ${(engineBefore / 1024).toFixed(0)} -> ${(engineAfter / 1024).toFixed(0)} MB)
  start of the last ${edge} / of the first ${edge}      ${(last / first).toFixed(2)}  (aim: at most 1.3; ${first.toFixed(0)} ms -> ${last.toFixed(0)} ms, medians)
  engine, idle: processor                ${cpuPercent.toFixed(2)} % of a core  (aim: under 1)
  engine, idle: memory (PSS)             ${(engineAfter / 1024).toFixed(0)} MB  (aim: under 150)
`);
  for (let index = 1; index <= count; index++) await deleteUntilGone(engine.client, name(index), signal);
}

/** The conmon and pause processes of an engine. */
function monitorsOf({ runDir }: BenchEngine): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      const line = textOf(`/proc/${pid}/cmdline`);
      return line.includes(runDir) && line.includes("conmon");
    });
}

function pssKib(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(textOf(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
}

/** User and system time of a process, in ticks of 10 ms. */
function cpuTicks(pid: number): number {
  const fields = textOf(`/proc/${pid}/stat`).split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // the process ended meanwhile
  }
}
