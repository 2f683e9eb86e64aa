/** The engine, `peapod serve`: a control plane and one node, in one process. usage: node main.ts [serve] [FLAGS] */
import { createLogger, runTogether, Scope, systemClock, untilSignal } from "@peapod/kit";
import { type EngineConfig, parseConfig } from "./config.ts";
import { openControlPlane } from "./control-plane.ts";
import { preferThisProcess } from "./linux/priority.ts";
import { openNode } from "./node.ts";
import { nodeApi } from "./node-api/node-api.ts";
import { runProgram } from "./program.ts";
import { holdDirs } from "./state-dir.ts";
import { VERSION } from "./version.ts";

await runProgram(async (words) => await runEngine(parseConfig(words[0] === "serve" ? words.slice(1) : words, process.env)));

/** Runs one engine until it is told to stop, by a signal or through its API, or has been idle for as long as it was told. */
async function runEngine(config: EngineConfig): Promise<void> {
  const { stateDir, runDir, nodeName } = config;
  const clock = systemClock;
  const log = createLogger({ level: config.logLevel, write: (line) => process.stderr.write(line) });
  if (!preferThisProcess()) log.debug("the API has no priority before what the engine starts");
  await using scope = new Scope();
  const { engineId } = await holdDirs(stateDir, runDir, scope);
  const controlPlane = await openControlPlane({ config, clock, log }, scope);
  const { client, earlier } = controlPlane;
  const node = await openNode({ config, engineId, client, earlier, clock, log }, scope);

  const stop = new AbortController();
  const { runtime, podCIDR } = node;
  const info = (): object => ({ version: VERSION, engineId, nodeName, stateDir, runDir, pid: process.pid, runtime, podCIDR });
  const offered = {
    nodeServer: node.server,
    extensions: [nodeApi({ images: node.images, engine: { info, stop: () => stop.abort() } })],
    checks: [{ name: "adoption", problem: () => (node.isReady ? undefined : "what runs on the machine is still being looked at") }],
  };
  await runTogether(
    {
      signals: (signal) => untilSignal(["SIGTERM", "SIGINT"], signal),
      controlPlane: (signal) => controlPlane.run(offered, signal),
      node: (signal) => node.run(signal),
    },
    AbortSignal.any([scope.signal, stop.signal]),
  );
  log.info("engine stops", { engineId });
}
