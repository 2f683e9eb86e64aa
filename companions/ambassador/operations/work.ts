import type { StartWork, WorkParts } from "../../frame/program/companion.ts";
import type { AmbassadorConfig } from "../config/config.ts";
import { credentialsFrom } from "../credentials/credentials.ts";
import { pump } from "../flow/pump/pump.ts";
import type { Resolve } from "../upstream/names.ts";
import { adminRoutes, pageSections } from "./admin/routes.ts";
import { Ambassador } from "./ambassador.ts";
import { Metrics } from "./metrics.ts";
import { problemsOf, readStatus, toReadings } from "./status.ts";

/** Begins an ambassador's work. `resolve` looks up the names of upstreams; default: the system's way. */
export function startWork(parts: WorkParts & { readonly resolve?: Resolve }): ReturnType<StartWork<AmbassadorConfig>> {
  const { log, clock, resolve } = parts;
  const credentials = credentialsFrom(parts.credentials);
  const metrics = new Metrics(parts.metrics.registry);
  const ambassador = new Ambassador({ credentials, metrics, log, clock, ...(resolve !== undefined && { resolve }) });
  metrics.readFrom(() => toReadings(readStatus(ambassador)));
  void pump.failed.then(({ message }) =>
    log.warn("pump does not run: bytes pass through the event loop, more slowly", { reason: message }),
  );
  return {
    apply: async (config) => {
      const { unchanged, ...changes } = await ambassador.apply(config);
      parts.credentials.keepFor(ambassador.listeners().map((listener) => listener.config));
      return { ...changes, unchanged: unchanged.length };
    },
    run: async (signal) => {
      const listeners = ambassador.serving().map(({ listener, address }) => [listener.config.name, address] as const);
      log.info("ambassador listens", { listeners: Object.fromEntries(listeners) });
      await ambassador.run(signal);
    },
    drain: (hurry) => ambassador.drain(hurry),
    problems: () => problemsOf(readStatus(ambassador).listeners),
    pending: () => ({ connections: ambassador.listeners().reduce((sum, { open }) => sum + open, 0) }),
    report: async () => {
      await ambassador.report();
      metrics.report();
    },
    status: () => readStatus(ambassador),
    page: (nowMs) => pageSections(ambassador, nowMs),
    routes: adminRoutes(ambassador),
    [Symbol.asyncDispose]: () => ambassador[Symbol.asyncDispose](),
  };
}
