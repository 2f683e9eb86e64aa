import { connectHttp } from "@peapod/client";
import { delay } from "@peapod/kit";
import { startEngine, type TestEngine, type TestScope } from "./engine-fixture.ts";
import { type FaultFindings, FaultWork } from "./fault-work.ts";
import { freePort } from "./pods.ts";

/**
 * Kills an engine again and again at random moments, `kills` times and half as often once more, while pods are made, run, restart and are deleted and a ConfigMap is written; gives what
 * that lost. What is left on the machine, the engine's fixture finds. `say` takes a line every now and then.
 */
export async function runFaults(t: TestScope, kills: number, say: (line: string) => void): Promise<FaultFindings> {
  const engine = await startEngine(t, { environment: { PEAPOD_LISTEN: `127.0.0.1:${await freePort()}` } });
  const client = await connectHttp({ kubeconfig: engine.kubeconfig });
  const [stop, over] = [new AbortController(), new AbortController()];
  const work = new FaultWork(engine, client, AbortSignal.any([t.signal, over.signal]));
  let working: Promise<void> = Promise.resolve();
  try {
    await work.begin();
    working = work.run(stop.signal);
    working.catch(() => over.abort()); // told below
    for (let kill = 1; kill <= kills && !over.signal.aborted; kill += 1) {
      await killAndStart(engine);
      if (kill % 10 === 0) say(`${kill} kills: ${work.summary()}`);
    }
    stop.abort(); // what is under way comes to its end, undisturbed
    await working;
    await work.end();
    say(`${kills} kills: ${work.summary()}`);
    return work.findings;
  } finally {
    over.abort(); // an engine that did not start again ends the work, too
    await Promise.allSettled([working]);
    client[Symbol.dispose]();
  }
}

/** Kills an engine that works, and every other time the next one too while it starts and adopts; gives a running one. */
async function killAndStart(engine: TestEngine): Promise<void> {
  await delay(Math.random() * 800); // the moment is what this is about
  await engine.kill();
  if (Math.random() < 0.5) {
    const started = engine.start().catch(() => {}); // killed before it is ready
    await delay(Math.random() * 1_200);
    await engine.kill();
    await started;
  }
  await engine.start();
}
