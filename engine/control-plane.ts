import { join } from "node:path";
import { type Client, connectInProcess } from "@peapod/client";
import { type Clock, type Logger, runTogether, type Scope, untilAborted } from "@peapod/kit";
import type { Extension } from "./apiserver/http/answer.ts";
import type { HealthCheck } from "./apiserver/http/health.ts";
import { serve } from "./apiserver/http/server.ts";
import { openPki } from "./apiserver/pki/pki.ts";
import { ObjectApi } from "./apiserver/verbs/object-api.ts";
import { recoverPods } from "./apiserver/verbs/recover-pods.ts";
import type { EngineConfig } from "./config.ts";
import { expireEvents } from "./controllers/event-expiry.ts";
import { untilIdle } from "./controllers/idle-exit.ts";
import { runNamespaceController } from "./controllers/namespace-controller.ts";
import type { NodeServer } from "./kubelet/node-server.ts";
import { announce } from "./presence.ts";
import type { EarlierPods } from "./recovery.ts";
import { runScheduler } from "./scheduler/scheduler.ts";
import { openStore } from "./store/open-store.ts";
import { VERSION } from "./version.ts";

export interface ControlPlaneOptions {
  readonly config: Pick<EngineConfig, "stateDir" | "runDir" | "nodeName" | "listen" | "idleExitMinutes">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What the API server offers beside its objects. */
export interface Offered {
  /** The logs and exec of the node. */
  readonly nodeServer: NodeServer;
  readonly extensions: readonly Extension[];
  /** What must be well for `/readyz`, beside the store. */
  readonly checks: readonly HealthCheck[];
}

/** What makes a cluster of nodes: store, API server, scheduler, controllers. */
export interface ControlPlane {
  readonly client: Client;
  readonly earlier: EarlierPods;
  /** Serves the API, binds pods to nodes and controls what is to be controlled, until the signal is aborted or it was idle for long enough. */
  run(offered: Offered, signal: AbortSignal): Promise<void>;
}

/** Opens the store and the API over it; the scope closes them. Nothing is served before `run`. */
export async function openControlPlane({ config, clock, log }: ControlPlaneOptions, scope: Scope): Promise<ControlPlane> {
  const { stateDir, runDir, nodeName, listen, idleExitMinutes } = config;
  const store = openStore(join(stateDir, "store.db"), scope, { memoryDir: runDir, log });
  const api = new ObjectApi({ store, clock });
  api.prepare();
  const client = connectInProcess(api);
  const pki = await openPki(join(stateDir, "pki"), [listen.host, nodeName]);
  const common = { client, clock, log };
  const announced = { stateDir, runDir, version: VERSION, ca: pki.ca, adminCertificate: pki.adminCert, adminKey: pki.adminKey };
  const storeCheck: HealthCheck = { name: "store", problem: () => store.trouble };
  return {
    client,
    earlier: { began: store.began, restore: (pods) => recoverPods({ store, clock }, pods) },
    run: async ({ nodeServer, extensions, checks }, signal) => {
      const listening = Promise.withResolvers<string>();
      const onListening = ({ host, port }: { host: string; port: number }): void =>
        listening.resolve(`${host.includes(":") ? `[${host}]` : host}:${port}`);
      const served = { api, pki, listen, nodeServer, extensions, checks: [storeCheck, ...checks], clock, log, onListening };
      await runTogether(
        {
          api: (each) => serve(served, each),
          presence: async (each) => {
            const address = await Promise.race([listening.promise, untilAborted(each)]);
            if (address === undefined) return; // it could not listen
            await announce({ ...announced, address }, log, scope);
            await untilAborted(each);
          },
          namespaces: (each) => runNamespaceController(common, each),
          scheduler: (each) => runScheduler(common, each),
          eventExpiry: (each) => expireEvents(common, each),
          ...(idleExitMinutes === undefined
            ? {}
            : { idle: (each: AbortSignal) => untilIdle({ ...common, idleMs: idleExitMinutes * 60_000 }, each) }),
        },
        signal,
      );
    },
  };
}
