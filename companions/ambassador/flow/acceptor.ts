import type { Socket } from "node:net";
import type { Address } from "../../frame/address.ts";
import type { Ends } from "./proxy-protocol.ts";
import type { Wire } from "./wire.ts";

/** Where to listen, and what comes before a connection is handed out. */
export interface ListenOptions {
  /** Port 0: a free one. */
  readonly listen: Address;
  /** Mode of a UNIX socket's file. */
  readonly socketMode: number;
  /** Each connection begins with a PROXY protocol header, which is read before it is handed out. */
  readonly acceptProxyProtocol: boolean;
  /** How long that header may take. */
  readonly handshakeMs: number;
}

/** What becomes of connections, in the shape that the protocol serves. Neither function may throw. */
export type Acceptor =
  | { readonly kind: "wire"; readonly onConnection: (client: Wire, ends: Ends) => void; readonly onRefused: OnRefused }
  /** The socket is paused, allows half-open connections, and has what came after a PROXY header unshifted. */
  | { readonly kind: "socket"; readonly onConnection: (client: Socket, ends: Ends) => void; readonly onRefused: OnRefused };

/** A connection was ended before it was handed out: no PROXY header (CLIENT_PROTOCOL, CLIENT_GONE), no descriptors left (LIMIT_REACHED), or a bug. */
export type OnRefused = (error: unknown) => void;
