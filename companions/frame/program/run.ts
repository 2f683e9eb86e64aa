import { type Clock, type Logger, type LogLevel, runTogether, Scope, untilAborted } from "@peapod/kit";
import { AdminServer } from "../admin/admin-server.ts";
import { adminRoutes } from "./admin-routes.ts";
import type { CommonConfig } from "../config/common.ts";
import type { ConfigSource } from "../config/load-config.ts";
import { openCredentials } from "../credentials/file-credentials.ts";
import type { Companion, StartWork } from "./companion.ts";
import { Configuration } from "./configuration.ts";
import type { FrameMetrics } from "./metrics.ts";
import type { FrameStatus } from "../admin/status.ts";

export interface RunParts {
  readonly source: ConfigSource;
  readonly metrics: FrameMetrics;
  readonly log: Logger;
  readonly clock: Clock;
  readonly setLogLevel: (level: LogLevel) => void;
}

/**
 * Runs a companion until `stop` is aborted, then lets what goes on end, for `drainMs` at most; `hurry` ends it at once.
 * Throws CONFIG_INVALID or LISTEN_FAILED where it cannot begin.
 */
export async function runCompanion<Config extends CommonConfig>(
  companion: Pick<Companion<Config>, "name" | "version" | "schema"> & { readonly start: StartWork<Config> },
  parts: RunParts,
  stop: AbortSignal,
  hurry: AbortSignal,
): Promise<void> {
  const { name, version, schema, start } = companion;
  const { source, metrics, log, clock } = parts;
  await using scope = new Scope();
  const quit = new AbortController();
  let config: Config | undefined;
  let isDraining = false;
  const credentials = openCredentials({ log, clock, onProblem: () => metrics.credentialFailed() });
  const work = scope.use(start({ credentials, metrics, log, clock }));

  const apply = async (next: Config) => {
    await admin.moveTo(next.admin?.listen);
    try {
      const changes = await work.apply(next);
      parts.setLogLevel(next.logLevel);
      config = next;
      return changes;
    } catch (cause) {
      await admin.moveTo(config?.admin?.listen); // both, or neither
      throw cause;
    }
  };
  const configuration = new Configuration({ schema, source, metrics, log, clock, apply });
  const status = (): FrameStatus => ({
    version,
    uptimeMs: Math.round(process.uptime() * 1000),
    isReady: !isDraining && work.problems().length === 0,
    isDraining,
    configuration: configuration.state,
    credentialProblems: credentials.problems(),
  });
  const admin = scope.use(new AdminServer({ routes: adminRoutes({ name, work, metrics, status }), quit: () => quit.abort(), log }));
  metrics.readFrom(() => ({ isDraining, credentialProblems: credentials.problems().length }));

  await configuration.start();
  await runTogether(
    {
      credentials: (signal) => credentials.run(signal),
      configuration: (signal) => configuration.follow(signal),
      work: (signal) => work.run(signal),
      drain: async (signal) => {
        await untilAborted(signal, stop, quit.signal);
        if (signal.aborted && !stop.aborted) return; // something failed: no time for manners
        isDraining = true;
        log.info(`${name} drains`, { ...work.pending?.(), drainMs: config?.drainMs });
        await work.drain(hurry);
      },
    },
    scope.signal,
  );
}
