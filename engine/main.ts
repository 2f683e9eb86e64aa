/** The engine, `peapod serve`: store, API server, scheduler, kubelet and what they stand on. usage: node main.ts [serve] [FLAGS] */
import { join } from "node:path";
import { connectInProcess } from "@peapod/client";
import { createLogger, runTogether, Scope, systemClock, untilSignal } from "@peapod/kit";
import { runNamespaceController } from "./controllers/namespace-controller.ts";
import { ObjectApi } from "./apiserver/verbs/object-api.ts";
import { openPki } from "./apiserver/pki/pki.ts";
import { serve } from "./apiserver/http/server.ts";
import { ConfigError, type EngineConfig, parseConfig } from "./config.ts";
import { EngineError } from "./errors.ts";
import { untilIdle } from "./controllers/idle-exit.ts";
import { openImages } from "./images/open-images.ts";
import { expireEvents } from "./controllers/event-expiry.ts";
import { Kubelet } from "./kubelet/kubelet.ts";
import { KubeletNodeServer } from "./kubelet/kubelet-node-server.ts";
import { preferThisProcess } from "./linux/priority.ts";
import { readMachine } from "./kubelet/node-object.ts";
import { keepLogs } from "./logs/keep-logs.ts";
import { removeLog } from "./logs/log-files.ts";
import { defaultLogLimits } from "./logs/logs.ts";
import { readLog } from "./logs/read-log.ts";
import { openBridgeNetwork } from "./network/open-bridge-network.ts";
import { nodeApi } from "./node-api/node-api.ts";
import { announce } from "./presence.ts";
import { recoverFromMachine } from "./recovery.ts";
import { openOciRuntime } from "./runtime/oci/oci-runtime.ts";
import { runScheduler } from "./scheduler/scheduler.ts";
import { holdDirs } from "./state-dir.ts";
import { openStore } from "./store/open-store.ts";
import { VERSION } from "./version.ts";
import { openVolumes } from "./volumes/open-volumes.ts";

const EXIT_USAGE = 64;

try {
  const words = process.argv.slice(2);
  await runEngine(parseConfig(words[0] === "serve" ? words.slice(1) : words, process.env));
} catch (error) {
  const expected = findExpected(error);
  if (expected === undefined) throw error;
  const cause = expected.cause instanceof Error ? ` (${expected.cause.message})` : "";
  process.stderr.write(`${expected.message}${cause}\n`);
  process.exitCode = expected instanceof ConfigError ? EXIT_USAGE : 1;
}

/** The error that a person can mend, behind the task that it ended; undefined for a bug. */
function findExpected(error: unknown): ConfigError | EngineError | undefined {
  if (error instanceof ConfigError || error instanceof EngineError) return error;
  return error instanceof Error ? findExpected(error.cause) : undefined;
}

/** Runs one engine until it is told to stop, by a signal or through its API, or has been idle for as long as it was told. */
async function runEngine(config: EngineConfig): Promise<void> {
  const { stateDir, runDir, nodeName } = config;
  const clock = systemClock;
  process.stderr.on("error", () => {}); // whoever read the log is gone; the engine goes on without
  const log = createLogger({ level: config.logLevel, write: (line) => process.stderr.write(line) });
  if (!preferThisProcess()) log.debug("the API has no priority before what the engine starts");
  process.umask(0o022);
  await using scope = new Scope();
  const { engineId } = await holdDirs(stateDir, runDir, scope);

  const store = openStore(join(stateDir, "store.db"), scope, { memoryDir: runDir, log });
  const api = new ObjectApi({ store, clock });
  api.prepare();
  const client = connectInProcess(api);
  const [pki, runtime, network, machine] = await Promise.all([
    openPki(join(stateDir, "pki"), [config.listen.host, nodeName]),
    openOciRuntime({
      runDir,
      engineId,
      scope,
      log,
      logMaxSizeBytes: defaultLogLimits.maxSizeBytes,
      pidsLimits: config.pidsLimits,
      ...(config.runtimePath === undefined ? {} : { runtimePath: config.runtimePath }),
    }),
    openBridgeNetwork({ stateDir, engineId, log, scope, ...(config.podCIDR === undefined ? {} : { podCIDR: config.podCIDR }) }),
    readMachine(stateDir),
  ]);
  scope.defer(async () => void (await runtime.removeIfEmpty()));
  const inUse = async (): Promise<Set<string>> => new Set((await runtime.listContainers()).map((container) => container.imageId));
  const images = await openImages({ stateDir, runDir, log, scope, inUse });
  const volumes = openVolumes({ stateDir, log });
  const podLogsDir = join(stateDir, "logs");
  const keptPodsDir = join(stateDir, "kept-pods");
  const strangers = await recoverFromMachine({ store, runtime, keptPodsDir, clock, log, unknownPods: config.unknownPods });
  const kubelet = new Kubelet({
    client,
    runtime,
    images,
    volumes,
    network,
    clock,
    log,
    nodeName,
    machine,
    podLogsDir,
    keptPodsDir,
    strangers,
    removeLog,
  });
  const nodeServer = new KubeletNodeServer({ kubelet, runtime, readLog });

  const stop = new AbortController();
  const extensions = [
    nodeApi({
      images,
      engine: {
        info: () => ({
          version: VERSION,
          engineId,
          nodeName,
          stateDir,
          runDir,
          pid: process.pid,
          runtime: runtime.version,
          podCIDR: network.podCIDR,
        }),
        stop: () => stop.abort(),
      },
    }),
  ];
  const listening = Promise.withResolvers<string>();
  const { idleExitMinutes } = config;
  await runTogether(
    {
      signals: (signal) => untilSignal(["SIGTERM", "SIGINT"], signal),
      api: (signal) =>
        serve(
          {
            api,
            pki,
            listen: config.listen,
            nodeServer,
            extensions,
            checks: [
              { name: "store", problem: () => store.trouble },
              { name: "adoption", problem: () => (kubelet.isReady ? undefined : "what runs on the machine is still being looked at") },
            ],
            clock,
            log,
            onListening: ({ host, port }) => listening.resolve(`${host.includes(":") ? `[${host}]` : host}:${port}`),
          },
          signal,
        ),
      presence: async (signal) => {
        const address = await Promise.race([listening.promise, untilSignal([], signal)]);
        if (address === undefined) return; // it could not listen
        await announce(
          { stateDir, runDir, address, version: VERSION, ca: pki.ca, adminCertificate: pki.adminCert, adminKey: pki.adminKey },
          log,
          scope,
        );
        await untilSignal([], signal);
      },
      namespaces: (signal) => runNamespaceController({ client, clock, log }, signal),
      scheduler: (signal) => runScheduler({ client, clock, log }, signal),
      kubelet: (signal) => kubelet.run(signal),
      eventExpiry: (signal) => expireEvents({ client, clock, log }, signal),
      logs: (signal) =>
        keepLogs(
          {
            limits: defaultLogLimits,
            list: async () =>
              (await runtime.listContainers()).filter(({ state }) => state.kind === "running").map(({ logPath }) => logPath),
            clock,
            log,
          },
          signal,
        ),
      ...(idleExitMinutes === undefined
        ? {}
        : { idle: (signal: AbortSignal) => untilIdle({ client, clock, log, idleMs: idleExitMinutes * 60_000 }, signal) }),
    },
    AbortSignal.any([scope.signal, stop.signal]),
  );
  log.info("engine stops", { engineId });
}
