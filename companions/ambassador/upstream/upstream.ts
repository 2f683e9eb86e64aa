import type { Address } from "../config/config.ts";
import type { ErrorCode } from "../errors.ts";

/** Which server of several a connection goes to, and whether it may. One for each listener; it knows no protocol. */
export interface Upstream {
  /**
   * Chooses an endpoint and has `open` connect to it (and log in there), within `connectMs`. While that fails in a way that is worth it,
   * tries others, then the same again after a pause, `retry.attempts` times in all. Every outcome counts for ejection and the circuit.
   * The lease keeps the endpoint's place in `least-connections` until it is released.
   * Throws the last try's AmbassadorError; NO_ENDPOINT, LIMIT_REACHED where no try was made; the signal's reason when it is aborted.
   * `only` names the endpoint to use, whatever its state: a cancel request goes where its query runs.
   */
  connect<T>(open: Open<T>, options: { readonly signal: AbortSignal; readonly only?: string }): Promise<Lease<T>>;
  /** Every endpoint, as the admin page and the metrics show it. */
  endpoints(): readonly EndpointState[];
  /** Whether at least one endpoint may be tried. */
  isAvailable(): boolean;
  /** Looks names up again and runs the health checks, until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
}

/** Connects to one target; ends what it opened when it fails. The signal is aborted when its time is over. */
export type Open<T> = (target: Target, signal: AbortSignal) => Promise<T>;

/** One address of one endpoint. */
export interface Target {
  /** As in the configuration: `db.example:5432`, `unix:/run/db.sock`. What logs and metrics say. */
  readonly endpoint: string;
  /** With an IP address in place of a name. */
  readonly address: Address;
  /** The name as configured, for SNI and certificates. */
  readonly host: string;
}

export interface Lease<T> extends Disposable {
  readonly value: T;
  readonly target: Target;
}

/** The role that a login or a check found; undefined where the protocol has none. */
export type Role = "read-write" | "read-only";

/** A health check of one target: resolves when it is well, with its role; throws an AmbassadorError when it is not. */
export type Check = (target: Target, signal: AbortSignal) => Promise<Role | undefined>;

export interface EndpointState {
  readonly endpoint: string;
  readonly addresses: readonly string[];
  readonly health: "healthy" | "unhealthy" | "unknown";
  readonly role: Role | undefined;
  /** Left out because of its failures, until then. */
  readonly ejectedUntilMs: number | undefined;
  readonly connections: number;
  readonly failuresInARow: number;
  readonly lastFailure: { readonly code: ErrorCode; readonly message: string; readonly atMs: number } | undefined;
}
