import type { Connection, EndedBy } from "./connection.ts";

/** What is told of a connection, in milliseconds and bytes. What is not known is left out. */
export interface AccessFields extends Record<string, unknown> {
  readonly connection: number;
  /** `ADDRESS:PORT`, or `unix`. */
  readonly client: string;
  readonly endpoint: string | undefined;
  readonly user: string | undefined;
  readonly database: string | undefined;
  /** Until the upstream connection stood, and from there until it was logged in; of the try that succeeded. */
  readonly connectMs: number | undefined;
  readonly loginMs: number | undefined;
  readonly durationMs: number;
  readonly fromClientBytes: number;
  readonly toClientBytes: number;
  readonly endedBy: EndedBy | undefined;
  /** What broke it off: `ECONNRESET` and its like. */
  readonly reset: string | undefined;
}

/** A live connection, as the admin page and its JSON show it. */
export interface ConnectionRow extends AccessFields {
  readonly listener: string;
}

/** The fields of a connection in the access log. */
export function accessFields(connection: Connection): AccessFields {
  const { id, client, endpoint, user, database, connectMs, loginMs, endedBy, resetBy } = connection;
  return {
    connection: id,
    client: client.address === "" ? "unix" : `${client.address.includes(":") ? `[${client.address}]` : client.address}:${client.port}`,
    endpoint,
    user,
    database,
    connectMs: rounded(connectMs),
    loginMs: rounded(loginMs),
    durationMs: rounded(performance.now() - connection.startedMs) ?? 0,
    fromClientBytes: connection.bytesFromClient,
    toClientBytes: connection.bytesToClient,
    endedBy,
    reset: resetBy,
  };
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 1000) / 1000;
}
