import { AmbassadorError } from "../errors.ts";
import type { Wire } from "./wire.ts";

/** An address of the IP kind and its port, or, of a UNIX socket, an empty one and 0. */
export interface Peer {
  readonly address: string;
  readonly port: number;
}

/** The two ends of a client's connection: where the client is, and where it connected to. */
export interface Ends {
  readonly client: Peer;
  readonly local: Peer;
}

/**
 * Reads the header that must begin a connection. Undefined for one that names nobody (v1: UNKNOWN, v2: LOCAL): the connection's own ends count.
 * Throws CLIENT_PROTOCOL where there is none, CLIENT_GONE where the client ends in it.
 */
export async function readProxyHeader(_wire: Wire): Promise<Ends | undefined> {
  await Promise.resolve();
  throw new AmbassadorError("CLIENT_PROTOCOL", "The connection does not begin with a PROXY protocol header");
}
