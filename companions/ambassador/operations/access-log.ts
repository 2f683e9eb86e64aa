import type { Connection } from "./connection.ts";

/** What the access log tells of a connection, in milliseconds and bytes. What is not known is left out. */
export function accessFields(connection: Connection): Record<string, unknown> {
  const { id, client, endpoint, user, database, connectMs, loginMs, endedBy, resetBy, bytes } = connection;
  return {
    connection: id,
    client: client.address === "" ? "unix" : `${client.address.includes(":") ? `[${client.address}]` : client.address}:${client.port}`,
    endpoint,
    user,
    database,
    connectMs: rounded(connectMs),
    loginMs: rounded(loginMs),
    durationMs: rounded(performance.now() - connection.startedMs),
    fromClientBytes: bytes.fromClient,
    toClientBytes: bytes.toClient,
    endedBy,
    reset: resetBy,
  };
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 1000) / 1000;
}
