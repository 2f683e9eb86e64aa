import { join } from "node:path";
import type { Client } from "@peapod/client";
import { type Clock, type Logger, runTogether, type Scope } from "@peapod/kit";
import type { EngineConfig } from "./config.ts";
import type { ImageService } from "./images/images.ts";
import { openImages } from "./images/open-images.ts";
import { Kubelet } from "./kubelet/kubelet.ts";
import { KubeletNodeServer } from "./kubelet/kubelet-node-server.ts";
import { readMachine } from "./kubelet/node-object.ts";
import type { NodeServer } from "./kubelet/node-server.ts";
import { keepLogs } from "./logs/keep-logs.ts";
import { removeLog } from "./logs/log-files.ts";
import { defaultLogLimits } from "./logs/logs.ts";
import { readLog } from "./logs/read-log.ts";
import { openBridgeNetwork } from "./network/open-bridge-network.ts";
import { type EarlierPods, recoverFromMachine } from "./recovery.ts";
import { openOciRuntime } from "./runtime/oci/oci-runtime.ts";
import { openVolumes } from "./volumes/open-volumes.ts";

export interface NodeOptions {
  readonly config: Pick<EngineConfig, "stateDir" | "runDir" | "nodeName" | "runtimePath" | "podCIDR" | "pidsLimits" | "unknownPods">;
  readonly engineId: string;
  /** The API whose pods of this name the node runs: of this process, or of any cluster. */
  readonly client: Client;
  /** Of an API whose store can be lost; without it, what runs and has no object is ended. */
  readonly earlier?: EarlierPods;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A node: this machine, running the pods that an API gives it. */
export interface Node {
  readonly server: NodeServer;
  readonly images: ImageService;
  /** The runtime's name and version. */
  readonly runtime: string;
  readonly podCIDR: string;
  /** Whether what ran before is adopted and the API's pods are known. */
  readonly isReady: boolean;
  /** Looks after the node's pods until the signal is aborted; their containers go on after it. */
  run(signal: AbortSignal): Promise<void>;
}

/** Opens runtime, network, images and volumes on this machine, for a kubelet that speaks to the API through `client`. The scope closes them. */
export async function openNode({ config, engineId, client, earlier, clock, log }: NodeOptions, scope: Scope): Promise<Node> {
  const { stateDir, runDir, nodeName, runtimePath, podCIDR, pidsLimits, unknownPods } = config;
  const logMaxSizeBytes = defaultLogLimits.maxSizeBytes;
  const [runtime, network, machine] = await Promise.all([
    openOciRuntime({ runDir, engineId, scope, log, logMaxSizeBytes, pidsLimits, ...(runtimePath === undefined ? {} : { runtimePath }) }),
    openBridgeNetwork({ stateDir, engineId, log, scope, ...(podCIDR === undefined ? {} : { podCIDR }) }),
    readMachine(stateDir),
  ]);
  scope.defer(async () => void (await runtime.removeIfEmpty()));
  const inUse = async (): Promise<Set<string>> => new Set((await runtime.listContainers()).map((container) => container.imageId));
  const images = await openImages({ stateDir, runDir, log, scope, inUse });
  const volumes = openVolumes({ stateDir, log });
  const dirs = { podLogsDir: join(stateDir, "logs"), keptPodsDir: join(stateDir, "kept-pods") };
  const strangers = earlier === undefined ? new Set<string>() : await recoverFromMachine({ earlier, runtime, ...dirs, log, unknownPods });
  const services = { client, runtime, images, volumes, network, clock, log, removeLog };
  const kubelet = new Kubelet({ ...services, ...dirs, nodeName, machine, strangers });
  const list = async (): Promise<string[]> =>
    (await runtime.listContainers()).filter(({ state }) => state.kind === "running").map(({ logPath }) => logPath);
  return {
    server: new KubeletNodeServer({ kubelet, runtime, readLog }),
    images,
    runtime: runtime.version,
    podCIDR: network.podCIDR,
    get isReady() {
      return kubelet.isReady;
    },
    run: async (signal) =>
      await runTogether(
        {
          kubelet: (each) => kubelet.run(each),
          logs: (each) => keepLogs({ limits: defaultLogLimits, list, clock, log }, each),
        },
        signal,
      ),
  };
}
