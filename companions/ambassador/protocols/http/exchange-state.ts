import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { AmbassadorError } from "../../errors.ts";
import type { Wire } from "../../flow/wire.ts";
import type { Session } from "../protocol.ts";

/** One request of a client, and where its answer goes. */
export interface Exchange {
  readonly session: Session;
  readonly socket: Socket;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What comes after the head of a request that asks for another protocol; undefined for others. */
  readonly wire: Wire | undefined;
}

/** How an exchange stands, for whoever watches over it. */
export interface Progress {
  outgoing: ClientRequest | undefined;
  endpoint: string | undefined;
  /** Why it failed, or was ended. */
  failure: AmbassadorError | undefined;
  /** It became a tunnel: the connection is HTTP's no more. */
  isTunnel: boolean;
  readonly onTunnel: () => void;
}
