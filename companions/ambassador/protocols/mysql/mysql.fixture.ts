import type { MysqlListenerConfig } from "../../config/config.ts";
import { type Scope, silentLogger } from "@peapod/kit";
import mysql2 from "mysql2/promise";
import { fileCredentials, listenerTo, type Serving, startServing } from "../tls/serving.fixture.ts";
import { mysqlProtocol } from "./mysql.ts";

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

/** Serves MySQL on a free port of loopback; everything ends with the scope. */
export async function serveMysql(scope: Scope, listener: MysqlListenerConfig): Promise<Serving> {
  return await startServing(mysqlProtocol(listener, { credentials: fileCredentials, log: silentLogger }), listener, { scope });
}

/** What a failed login says to a client. */
export interface Refusal {
  readonly errno: number | undefined;
  readonly sqlState: string | undefined;
  readonly message: string;
}

/** Connects with mysql2 and gives the refusal; throws when it is let in. */
export async function refusalAt(port: number, options: mysql2.ConnectionOptions = {}): Promise<Refusal> {
  try {
    const connection = await mysql2.createConnection({ host: "127.0.0.1", port, user: "legacy", ...options });
    connection.destroy();
  } catch (cause) {
    const { errno, sqlState, message } = cause as { errno?: number; sqlState?: string; message: string }; // mysql2's own errors
    return { errno, sqlState, message };
  }
  throw new Error("The client was let in");
}
