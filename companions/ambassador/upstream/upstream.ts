import type { Address } from "../../frame/address.ts";
import type { AmbassadorError, ErrorCode } from "../errors.ts";
import type { CancelSignal } from "../flow/cancel.ts";

/** Which server of several a connection goes to, and whether it may. One for each listener; it knows no protocol. */
export interface Upstream {
  /**
   * Chooses an endpoint and has `open` connect to it (and log in there), within `connectMs`. While that fails in a way that is worth it,
   * tries others, then the same again after a pause, `retry.attempts` times in all. Every outcome counts for ejection and the circuit.
   * The lease keeps the endpoint's place in `least-connections` until it is released.
   * Throws the last try's AmbassadorError; NO_ENDPOINT where no try was made; the signal's reason when it is aborted. An error that is not
   * retryable, such as LOGIN_REFUSED, is thrown at once.
   * `only` is the endpoint, or better the very target (of an earlier lease), to use whatever its state: a cancel request goes where its
   * query runs, though the name may stand for other addresses by now.
   * `isJudgedLater`: that a connection stands is no success yet, `lease.judge` says what came of it.
   */
  connect<T>(open: Open<T>, options: ConnectOptions & { readonly signal: CancelSignal }): Promise<Lease<T>>;
  /** Every endpoint, as the admin page and the metrics show it. */
  endpoints(): readonly EndpointState[];
  /** Whether at least one endpoint may be tried, and its name was resolved once. */
  isAvailable(): boolean;
  /** Looks names up again and runs the health checks, until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
}

/** See Upstream.connect. */
export interface ConnectOptions {
  readonly only?: string | Target;
  readonly isJudgedLater?: boolean;
}

/**
 * Connects to one target; ends what it opened when it fails. The signal is aborted when its time is over; what comes even later is ended by
 * its `Symbol.dispose` or `destroy()`. `wanted` is the role that this try must find, else throw UPSTREAM_ROLE; undefined: any role will do
 * (with `prefer-read-only`, once no replica is left to try).
 */
export type Open<T> = (target: Target, signal: CancelSignal, wanted: Role | undefined) => Promise<T>;

/** One address of one endpoint. */
export interface Target {
  /** As in the configuration: `db.example:5432`, `unix:/run/db.sock`. What logs and metrics say. */
  readonly endpoint: string;
  /** With an IP address in place of a name. */
  readonly address: Address;
  /** The name as configured, for SNI and certificates. */
  readonly host: string;
  /** Called by whoever dials it, once the connection stands and before anything is said: divides connecting from logging in. */
  readonly onConnected?: () => void;
}

export interface Lease<T> extends Disposable {
  readonly value: T;
  readonly target: Target;
  /**
   * Where `isJudgedLater` was asked: what came of the connection's use. An error counts for ejection and the circuit as that of a failed try does,
   * by its code. The first word holds; a lease that is released without one counts for nothing.
   */
  judge?(outcome: "well" | AmbassadorError): void;
}

/** The role that a login or a check found; undefined where the protocol has none. */
export type Role = "read-write" | "read-only";

/** A health check of one target: resolves when it is well, with its role; throws an AmbassadorError when it is not. */
export type Check = (target: Target, signal: AbortSignal) => Promise<Role | undefined>;

/** For people, and programs that show it: times are by the wall clock. */
export interface EndpointState {
  readonly endpoint: string;
  readonly addresses: readonly string[];
  /** Why its name stands for no address yet; undefined: it does, or it is an address itself. */
  readonly unresolved: string | undefined;
  readonly health: "healthy" | "unhealthy" | "unknown";
  readonly role: Role | undefined;
  /** Left out because of its failures, until then. */
  readonly ejectedUntilMs: number | undefined;
  /** Made, and being made. */
  readonly connections: number;
  readonly failuresInARow: number;
  readonly lastFailure: { readonly code: ErrorCode; readonly message: string; readonly atMs: number } | undefined;
}

/** What happens to an upstream, for the metrics: each as it happens, after its state changed. */
export type UpstreamEvent =
  /** One try of one target failed, of which the client may not hear; or what its connection was used for, where that is judged. */
  | { readonly kind: "try-failed"; readonly endpoint: string; readonly code: ErrorCode }
  | { readonly kind: "ejected"; readonly endpoint: string }
  /** One health check: `code` says why it failed. */
  | { readonly kind: "check"; readonly endpoint: string; readonly code: ErrorCode | undefined }
  /** The verdict on one address changed. */
  | { readonly kind: "health"; readonly endpoint: string; readonly health: EndpointState["health"] }
  /**
   * Only with `closeConnections`: a check says that connections at this target, the one of their leases, are of no use any more. Told with each
   * such check, as a login may have been under way during the last one.
   */
  | { readonly kind: "lost"; readonly target: Target }
  | { readonly kind: "circuit"; readonly state: "closed" | "open" | "half-open" }
  | { readonly kind: "lookup-failed"; readonly endpoint: string };
