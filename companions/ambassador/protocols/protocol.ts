import type { SecretSource } from "../../frame/credentials/secret.ts";
import type { Socket } from "node:net";
import type { Logger } from "@peapod/kit";
import type { ListenerConfig } from "../config/config.ts";
import type { Credentials } from "../credentials/credentials.ts";
import type { ErrorCode } from "../errors.ts";
import type { Splice } from "../flow/splice.ts";
import type { Wire } from "../flow/wire.ts";
import type { Check, ConnectOptions, Lease, Open, Target } from "../upstream/upstream.ts";

/**
 * What a listener does with a connection. `serve` resolves when the connection has ended, whichever way, and has ended both sides then.
 * It tells the client of a failure in the protocol's own words, and then throws it (an AmbassadorError) for the metrics and the log.
 * Where the signal is aborted it ends at the next point that loses nothing, and at the latest when the wires are destroyed.
 */
export type Protocol =
  | {
      readonly kind: "wire";
      serve(client: Wire, session: Session): Promise<void>;
      readonly check: Check | undefined;
      /** What connections that live on still need of the listener's next protocol, when its configuration changes: handed to `MakeProtocol`. */
      readonly heritage?: unknown;
      /** Safe to repeat; for what outlives a connection, such as kept keys or connections. */
      dispose?(): void;
    }
  | {
      readonly kind: "socket";
      /** An accepted socket, paused, with what came after a PROXY header unshifted. */
      serve(client: Socket, session: Session): Promise<void>;
      readonly check: Check | undefined;
      /** Breaks its connections to this target off with the error, those that are kept for later too; gives how many were in use. */
      lose?(target: Target, error: Error): number;
      dispose?(): void;
    };

/** What the ambassador does for one connection of a client. */
export interface Session {
  /** Unique while the process lives; in the access log. */
  readonly id: number;
  /** With the listener's name and the connection's id in every line. */
  readonly log: Logger;
  /** Where the client is: from its socket, or from the PROXY header. Port 0 and an empty address for a UNIX socket. */
  readonly client: { readonly address: string; readonly port: number };
  /** Where the client connected to, likewise. */
  readonly local: { readonly address: string; readonly port: number };
  /** Aborted when the listener drains: no new work, but what runs may go on until `end`. */
  readonly draining: AbortSignal;
  /** Aborted when this connection must end now: the deadline of a drain, or credentials that are too old. */
  readonly end: AbortSignal;
  /** Upstream.connect, with the session's end as its signal, a measured latency, and the endpoint noted for the access log. */
  connect<T>(open: Open<T>, options?: ConnectOptions): Promise<Lease<T>>;
  /** Which secrets the upstream login was made with: once they change, `login.maxAgeMs` begins for this connection. */
  used(secrets: readonly { readonly source: SecretSource; readonly version: number }[]): void;
  /** Facts for the access log and the admin page: the user that the application said, never the one of the Secret, and the database. */
  note(facts: { readonly user?: string; readonly database?: string }): void;
  /** Passes bytes both ways until both sides have ended; notes the counts. */
  splice(client: Wire, upstream: Wire, options?: Splice): Promise<void>;
  /** For protocols that do not splice: adds to the byte counts. */
  count(fromClientBytes: number, toClientBytes: number): void;
  /** For protocols with many requests on a connection: takes one from the listener's rate. Throws RATE_LIMITED. Undefined: no limit. */
  admit?(): void;
  /** One request of such a protocol has ended: for the access log and the counts. */
  request?(fact: RequestFact): void;
}

/** One request and its answer. Nothing of it is a credential: a query may be one, and is left out. */
export interface RequestFact {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** What the client was told; 499: it went away before. */
  readonly status: number;
  readonly durationMs: number;
  readonly fromClientBytes: number;
  readonly toClientBytes: number;
  readonly endpoint: string | undefined;
  /** Why the ambassador answered itself, or cut the answer off. */
  readonly code: ErrorCode | undefined;
}

/** What makes the protocol of a listener: `protocols/NAME/NAME.ts` exports one, such as `postgresProtocol`. */
export type MakeProtocol<Config extends ListenerConfig> = (
  listener: Config,
  parts: { readonly credentials: Credentials; readonly log: Logger; readonly heritage?: unknown },
) => Protocol;
