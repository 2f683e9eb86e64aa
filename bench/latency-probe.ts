import { randomUUID } from "node:crypto";
import { fork } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { type ConfigMap, configMaps, pods } from "@peapod/api";
import { type Client, connectHttp } from "@peapod/client";
import { delay } from "@peapod/kit";

/** Milliseconds of each request, and how late the probe itself woke, which is the machine's own doing. */
export interface Waits {
  readonly create: readonly number[];
  readonly list: readonly number[];
  readonly wakeUp: readonly number[];
}

/** Between two requests of one kind. */
const EVERY_MS = 20;

/**
 * Asks an API again and again from a process of its own, which does nothing else and goes before all others: what it measures is how long the
 * API takes, not how long whoever asks waits for a processor. `end` gives what it met.
 */
export async function startProbe(kubeconfig: string): Promise<{ end(): Promise<Waits> }> {
  const child = fork(fileURLToPath(import.meta.url), [kubeconfig], { detached: true });
  await once(child, "message");
  return {
    end: async () => {
      const waits = once(child, "message");
      const exited = once(child, "exit");
      child.send("end");
      const [message] = (await waits) as [Waits];
      await exited;
      return message;
    },
  };
}

function preferThisProcess(): void {
  setPriority(-20);
  writeFileSync("/proc/self/autogroup", "-20"); // its session is its own
}

async function probe(client: Client, signal: AbortSignal): Promise<Waits> {
  const waits = { create: [] as number[], list: [] as number[], wakeUp: [] as number[] };
  const prefix = `probe-${randomUUID()}`;
  const create = async (index: number): Promise<unknown> => {
    const metadata = { name: `${prefix}-${index}`, namespace: "default" };
    const object: ConfigMap = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { a: "b" } };
    return await client.create(configMaps, object, {}, new AbortController().signal);
  };
  const list = async (): Promise<unknown> => await client.list(pods, { namespace: "default" }, new AbortController().signal);
  await Promise.all([create(-1), list()]); // its connections are open
  process.send?.("ready");
  const askAgain = async (into: number[], ask: (index: number) => Promise<unknown>): Promise<void> => {
    for (let index = 0; !signal.aborted; index++) {
      const dueMs = performance.now() + EVERY_MS;
      await delay(EVERY_MS);
      waits.wakeUp.push(Math.max(0, performance.now() - dueMs));
      const startedMs = performance.now();
      await ask(index);
      // Those that would have come meanwhile waited, too: without them one long wait would be one of few.
      for (let waitedMs = performance.now() - startedMs; waitedMs > 0; waitedMs -= EVERY_MS) into.push(waitedMs);
    }
  };
  await Promise.all([askAgain(waits.create, create), askAgain(waits.list, list)]);
  return waits;
}

if (import.meta.main) {
  preferThisProcess();
  const end = new AbortController();
  process.once("message", () => end.abort());
  process.once("disconnect", () => process.exit());
  const waits = await probe(await connectHttp({ kubeconfig: process.argv[2] ?? "" }), end.signal);
  process.send?.(waits, () => process.exit());
}
