import { join } from "node:path";
import { parseArgs } from "node:util";
import { delay, Scope } from "@peapod/kit";
import { pods } from "@peapod/api";
import type { ExecStream } from "@peapod/client";
import { type BenchEngine, each, startEngine } from "./engine.ts";
import { startProbe, type Waits } from "./latency-probe.ts";
import { percentile } from "./statistics.ts";
import { IMAGE, threeContainers } from "./three-containers.ts";

const AIM_MS = 100;
const QUIET_MS = 3_000;

/** How long a POST and a list wait while nothing happens, while pods start, while commands start in them, and while all are deleted. */
export async function latency(args: readonly string[], signal: AbortSignal): Promise<void> {
  const options = { pods: { type: "string", default: "110" }, execs: { type: "string", default: "200" } } as const;
  const { values } = parseArgs({ args: [...args], options });
  const [count, execs] = [Math.max(1, Number(values.pods)), Math.max(1, Number(values.execs))];
  await using scope = new Scope();
  const engine = await startEngine(scope, signal);
  await engine.peapod("image", "pull", IMAGE);
  const during = async (what: string, work: () => Promise<void>): Promise<void> => {
    const probe = await startProbe(join(engine.stateDir, "admin.kubeconfig"));
    const startedMs = performance.now();
    try {
      await work();
    } finally {
      const tookMs = performance.now() - startedMs;
      process.stdout.write(`${what}, ${(tookMs / 1000).toFixed(1)} s: ${show(await probe.end())}\n`);
    }
  };
  const names = Array.from({ length: count }, (_, index) => `latency-${index}`);
  process.stdout.write("Milliseconds, p50 / p99 / longest:\n");
  await during("Nothing happens", async () => delay(QUIET_MS, signal));
  await during(`${count} pods of three containers start`, async () => {
    await each(names, async (name) => engine.client.create(pods, threeContainers(name), {}, signal));
    await untilPods(engine, (running) => running === count, signal);
  });
  await during(`${execs} commands start`, async () => {
    const sessions: Promise<void>[] = [];
    const targets = Array.from({ length: execs }, (_, index) => names[index % count] ?? "");
    await each(targets, async (name) => void sessions.push(untilEnded(await startCommand(engine, name, signal))));
    await Promise.all(sessions);
  });
  await during("All are deleted", async () => {
    await each(names, async (name) => engine.client.delete(pods, { namespace: "default", name }, { gracePeriodSeconds: 1 }, signal));
    await untilPods(engine, (_running, present) => present === 0, signal);
  });
}

/** Looks rarely: what it asks for is not to be what the engine is busy with. */
async function untilPods(
  { client }: BenchEngine,
  isDone: (running: number, present: number) => boolean,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const { items } = await client.list(pods, { namespace: "default" }, signal);
    const running = items.filter(({ status }) => status?.containerStatuses?.every(({ state }) => state?.running !== undefined) === true);
    if (isDone(running.length, items.length)) return;
    await delay(200, signal);
  }
}

async function startCommand({ client }: BenchEngine, name: string, signal: AbortSignal): Promise<ExecStream> {
  const options = { container: "one", command: ["/bin/busybox", "sleep", "1"], stdin: false, tty: false };
  return await client.exec({ namespace: "default", name }, options, signal);
}

async function untilEnded({ stdout, stderr, exitCode }: ExecStream): Promise<void> {
  stdout.resume();
  stderr.resume();
  if ((await exitCode) !== 0) throw new Error(`A command exited with ${await exitCode}`);
}

function show({ create, list, wakeUp }: Waits): string {
  const line = (waits: readonly number[]): string =>
    [percentile(waits, 0.5), percentile(waits, 0.99), Math.max(...waits)].map((ms) => ms.toFixed(0)).join(" / ");
  const isMet = [create, list].every((waits) => percentile(waits, 0.99) < AIM_MS);
  return `POST ${line(create)}, list ${line(list)} of ${create.length} (aim: p99 under ${AIM_MS}${isMet ? "" : ", missed"}); the machine itself ${line(wakeUp)}`;
}
