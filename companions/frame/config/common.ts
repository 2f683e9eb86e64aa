import type { LogLevel } from "@peapod/kit";
import type { Address } from "../address.ts";
import { type Field, oneOf, record } from "./decode.ts";
import { orOff, required, withDefault } from "./fields.ts";
import { duration, listenAddress } from "./scalars.ts";
import type { Variable } from "./schema.ts";

/** What every companion's configuration has. */
export interface CommonConfig {
  readonly admin: AdminConfig | undefined;
  readonly logLevel: LogLevel;
  /** How long work that has begun may go on after SIGTERM. Default 25 s. */
  readonly drainMs: number;
}

/** `/healthz`, `/readyz`, `/metrics` and a page. */
export interface AdminConfig {
  readonly listen: Address;
}

/** The fields of it. `page` says what the admin page shows; `drain`, what may go on after SIGTERM and, if need be, when else. */
export function commonFields(words: { readonly page: string; readonly drain: string }): {
  readonly [K in keyof CommonConfig]-?: Field<CommonConfig[K]>;
} {
  return {
    admin: orOff({
      type: record<AdminConfig>({
        listen: required({ type: listenAddress, help: "Where: `0.0.0.0:9901` for a kubelet's probes, `127.0.0.1:9901` for the pod alone" }),
      }),
      fallback: "off",
      help: `\`/healthz\`, \`/readyz\`, \`/metrics\` and ${words.page}; by default nothing listens that was not asked for`,
    }),
    logLevel: withDefault({
      type: oneOf(["error", "warn", "info", "debug"]),
      fallback: "info",
      help: "`info` tells each change of state once",
    }),
    drainMs: withDefault({
      key: "drainTimeout",
      type: duration("0s", "24h"),
      fallback: "25s",
      help: `${words.drain}; within Kubernetes' 30 s of grace`,
    }),
  };
}

/** The variables for it. `drain` as above. */
export function commonVariables(prefix: string, words: { readonly drain: string }): readonly Variable[] {
  return [
    {
      name: `${prefix}ADMIN_LISTEN`,
      key: "admin.listen",
      help: "Where `/healthz`, `/readyz` and `/metrics` are served, such as `0.0.0.0:9901`",
    },
    { name: `${prefix}LOG_LEVEL`, key: "logLevel", help: "`error`, `warn`, `info` or `debug`" },
    { name: `${prefix}DRAIN_TIMEOUT`, key: "drainTimeout", help: words.drain },
  ];
}
