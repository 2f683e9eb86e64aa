import { type Clock, type Logger, runTogether, Scope, untilAborted } from "@peapod/kit";
import type { AmbassadorConfig } from "../config/config.ts";
import type { ConfigSource } from "../config/load-config.ts";
import { pump } from "../flow/pump/pump.ts";
import { openCredentials } from "../credentials/file-credentials.ts";
import type { Resolve } from "../upstream/names.ts";
import { AdminServer } from "./admin/admin-server.ts";
import { adminRoutes } from "./admin/routes.ts";
import { Ambassador } from "./ambassador.ts";
import { Configuration } from "./configuration.ts";
import type { Metrics } from "./metrics.ts";
import type { ReloadPlan } from "./plan-reload.ts";
import { readStatus, toReadings } from "./status.ts";

export interface RunParts {
  readonly source: ConfigSource;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly clock: Clock;
  /** Of names of upstreams. Default: the system's way. */
  readonly resolve?: Resolve;
  readonly setLogLevel: (level: AmbassadorConfig["logLevel"]) => void;
  /** Called when the listeners accept. */
  readonly onListening?: (where: { readonly listeners: ReadonlyMap<string, string>; readonly admin: string | undefined }) => void;
}

/**
 * Runs an ambassador until `stop` is aborted, then lets its connections end, for `drainMs` at most; `hurry` ends them at once.
 * Throws CONFIG_INVALID or LISTEN_FAILED where it cannot begin.
 */
export async function runAmbassador(parts: RunParts, stop: AbortSignal, hurry: AbortSignal): Promise<void> {
  const { source, metrics, log, clock, resolve } = parts;
  await using scope = new Scope();
  const quit = new AbortController();
  const credentials = openCredentials({ log, clock, onProblem: () => metrics.credentialFailed() });
  const ambassador = scope.use(new Ambassador({ credentials, metrics, log, clock, ...(resolve !== undefined && { resolve }) }));
  const configuration = new Configuration({ source, metrics, log, clock, apply: (config) => apply(config) });
  const status = { ambassador, configuration, credentials, metrics };
  const admin = scope.use(new AdminServer({ routes: adminRoutes(status), quit: () => quit.abort(), log }));
  metrics.readFrom(() => toReadings(readStatus(status)));

  /** Both, or neither. */
  const apply = async (config: AmbassadorConfig): Promise<ReloadPlan> => {
    const before = ambassador.config;
    await admin.moveTo(config.admin?.listen);
    try {
      const plan = await ambassador.apply(config);
      credentials.keepFor(ambassador.listeners().map((listener) => listener.config));
      parts.setLogLevel(config.logLevel);
      return plan;
    } catch (cause) {
      await admin.moveTo(before?.admin?.listen);
      throw cause;
    }
  };

  void pump.failed.then(({ message }) =>
    log.warn("pump does not run: bytes pass through the event loop, more slowly", { reason: message }),
  );
  await configuration.start();
  const listeners = new Map(ambassador.serving().map(({ listener, address }) => [listener.config.name, address]));
  log.info("ambassador listens", { listeners: Object.fromEntries(listeners) });
  parts.onListening?.({ listeners, admin: admin.address });
  await runTogether(
    {
      credentials: (signal) => credentials.run(signal),
      configuration: (signal) => configuration.follow(signal),
      listeners: (signal) => ambassador.run(signal),
      drain: async (signal) => {
        await untilAborted(signal, stop, quit.signal);
        if (signal.aborted && !stop.aborted) return; // something failed: no time for manners
        const connections = ambassador.listeners().reduce((sum, { open }) => sum + open, 0);
        log.info("ambassador drains", { connections, drainMs: ambassador.config?.drainMs });
        await ambassador.drain(hurry);
      },
    },
    scope.signal,
  );
}
