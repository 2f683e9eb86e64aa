import { readdirSync, readFileSync, rmSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { nodes } from "@peapod/api";
import { Scope } from "@peapod/kit";
import { type BenchEngine, makeFolder, startEngine } from "./engine.ts";
import { type Floor, prepareFloor } from "./floor.ts";
import { median, seconds } from "./statistics.ts";
import { createUntilRunning, deleteUntilGone, IMAGE, threeContainers } from "./three-containers.ts";

const IDLE_MS = 60_000;
const WARM_UP_ROUNDS = 3;

/** What fifty pods of three containers cost: memory outside the containers' own processes, start of the last, an idle minute. */
export async function density(args: readonly string[], signal: AbortSignal): Promise<void> {
  const options = { pods: { type: "string", default: "50" }, rounds: { type: "string", default: "10" } } as const;
  const { values } = parseArgs({ args: [...args], options });
  const [count, rounds] = [Math.max(2, Number(values.pods)), Math.max(3, Number(values.rounds))];
  await using scope = new Scope();
  const folder = makeFolder();
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const engine = await startEngine(scope, signal);
  await engine.peapod("image", "pull", IMAGE);
  await delay(2_000, undefined, { signal });
  const engineBefore = pssKib(engine.pid);
  const floor = await prepareFloor(engine, folder, scope, signal);
  await measureStarts(engine, floor, WARM_UP_ROUNDS, signal);

  const nodeName = await nodeOf(engine, signal);
  const first = await measureStarts(engine, floor, rounds, signal);
  for (let index = 1; index < count; index++)
    await createUntilRunning(engine.client, threeContainers(`density-${index}`, nodeName), signal);
  const last = await measureStarts(engine, floor, rounds, signal);
  await createUntilRunning(engine.client, threeContainers(`density-${count}`, nodeName), signal);
  process.stdout.write(`${count} pods run; now an idle minute\n`);
  const cpuPercent = await idleProcessor(engine, signal);
  const engineAfter = pssKib(engine.pid);
  const monitors = monitorsOf(engine);
  const monitorsKib = monitors.map(pssKib).reduce((sum, one) => sum + one, 0);
  const perPod = (monitorsKib + engineAfter - engineBefore) / 1024 / count;
  const ratio = (of: (starts: Starts) => number[]): string => (median(of(last)) / median(of(first))).toFixed(2);
  process.stdout.write(`
${count} pods of three containers:
  memory outside the containers, a pod   ${perPod.toFixed(1)} MB  (aim: at most 10; ${monitors.length} monitors ${megabytes(monitorsKib)} MB, engine ${megabytes(engineBefore)} -> ${megabytes(engineAfter)} MB)
  start of the only pod, ${rounds} rounds         ${seconds(first.peapodMs)}
  start of the last of ${count}, ${rounds} rounds     ${seconds(last.peapodMs)}
  last / only                            ${ratio(({ peapodMs }) => peapodMs)}  (aim: at most 1.3; the bare runtime beside them: ${ratio(({ floorMs }) => floorMs)})
  engine, idle: processor                ${cpuPercent.toFixed(2)} % of a core  (aim: under 1)
  engine, idle: memory (PSS)             ${megabytes(engineAfter)} MB  (aim: under 150)
`);
}

async function nodeOf({ client }: BenchEngine, signal: AbortSignal): Promise<string> {
  return (await client.list(nodes, {}, signal)).items[0]?.metadata.name ?? "";
}

interface Starts {
  readonly peapodMs: number[];
  readonly floorMs: number[];
}

/** Starts and deletes one more pod again and again; in turn with the bare runtime, which shows how the machine itself is by then. */
async function measureStarts(engine: BenchEngine, floor: Floor, rounds: number, signal: AbortSignal): Promise<Starts> {
  const starts: Starts = { peapodMs: [], floorMs: [] };
  for (let round = 1; round <= rounds; round++) {
    starts.peapodMs.push(await createUntilRunning(engine.client, threeContainers("one-more", await nodeOf(engine, signal)), signal));
    await deleteUntilGone(engine.client, "one-more", signal);
    starts.floorMs.push(await floor.start());
  }
  return starts;
}

/** How much of a core the engine takes while nothing happens, in percent. */
async function idleProcessor({ pid }: BenchEngine, signal: AbortSignal): Promise<number> {
  await delay(5_000, undefined, { signal });
  const ticksBefore = cpuTicks(pid);
  await delay(IDLE_MS, undefined, { signal });
  return (100 * (cpuTicks(pid) - ticksBefore) * 10) / IDLE_MS; // a tick is 10 ms
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

function megabytes(kib: number): string {
  return (kib / 1024).toFixed(0);
}

function pssKib(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(textOf(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
}

/** User and system time of a process and of its children that have ended, in ticks of 10 ms. */
function cpuTicks(pid: number): number {
  const fields = textOf(`/proc/${pid}/stat`).split(") ")[1]?.split(" ") ?? [];
  return [11, 12, 13, 14].map((index) => Number(fields[index])).reduce((sum, one) => sum + one, 0);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // the process ended meanwhile
  }
}
