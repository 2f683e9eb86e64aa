import type { MysqlListenerConfig } from "../../config/config.ts";
import { listenerTo } from "../tls/serving.fixture.ts";

/** A listener's configuration for one upstream on a port of loopback, logging in as `app` with its password. */
export function mysqlListenerTo(port: number, given: Partial<MysqlListenerConfig> = {}): MysqlListenerConfig {
  return {
    ...listenerTo(port),
    protocol: "mysql",
    login: { username: value("app"), password: value("the right one"), maxAgeMs: undefined },
    database: undefined,
    serverPublicKeyFile: undefined,
    allowPublicKeyRetrieval: false,
    ...given,
  };
}

export function value(text: string): { readonly kind: "value"; readonly value: string } {
  return { kind: "value", value: text };
}
