import { type Clock, type Logger, wallOf } from "@peapod/kit";
import type { UpstreamConfig } from "../config/config.ts";
import { AmbassadorError, type ErrorCode } from "../errors.ts";
import { admit, afterTry, type Circuit, closedCircuit } from "./circuit.ts";
import type { Place } from "./endpoint.ts";
import {
  afterCheck,
  afterFailure,
  afterSuccess,
  blame,
  type CheckOutcome,
  type Failure,
  isEjected,
  isLost,
  type Standing,
} from "./standing.ts";
import type { Role, UpstreamEvent } from "./upstream.ts";

interface LedgerParts {
  readonly config: UpstreamConfig;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onEvent: (event: UpstreamEvent) => void;
}

/** Permission for one try; to be given back with its outcome, once. */
export interface Admission {
  readonly isProbe: boolean;
}

/** Where outcomes are written down: it moves the states on, and tells each change once, to the log and to the metrics. */
export class Ledger {
  readonly #parts: LedgerParts;
  #circuit: Circuit = closedCircuit;
  #lastFailure: Failure | undefined;

  constructor(parts: LedgerParts) {
    this.#parts = parts;
  }

  /** Whether the circuit would let a connection try, now or once the probe is through. */
  isCircuitOpen(nowMs: number): boolean {
    return this.#circuit.kind === "open" && nowMs < this.#circuit.untilMs;
  }

  /** Lets one try begin, or says why not (NO_ENDPOINT). A try with `isForced` passes an open circuit by. */
  admit(isForced: boolean): Admission | AmbassadorError {
    if (this.#parts.config.circuitBreaker === undefined || isForced) return freePass;
    const admitted = admit(this.#circuit, this.#parts.clock.monotonicMs());
    if (admitted === undefined) return this.#refusal();
    this.#setCircuit(admitted.circuit);
    return admitted;
  }

  /** A connection was made, in the role it had to have; or it was used well. */
  succeeded(place: Place, found: Role | undefined, { isProbe }: Admission): void {
    const nowMs = this.#parts.clock.monotonicMs();
    this.#setStanding(place, afterSuccess(place.standing, found, nowMs), nowMs);
    this.#observe("answer", isProbe, nowMs);
  }

  /** A try failed; or came to nothing, as its caller went away or the code is wrong: what is no AmbassadorError says nothing of the endpoint. */
  failed(place: Place, error: unknown, context: Admission & { readonly wanted: Role | undefined; readonly isInUse?: boolean }): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const { isProbe, wanted, isInUse = false } = context;
    if (!(error instanceof AmbassadorError)) return this.#observe("neutral", isProbe, nowMs);
    const { code, message } = error;
    const failure = { code, message, atMs: nowMs };
    const standing = afterFailure(place.standing, failure, { ejection: this.#parts.config.ejection, wanted, isInUse });
    if (blame(code) === "failure") this.#lastFailure = failure;
    this.#setStanding(place, standing, nowMs);
    this.#observe(blame(code), isProbe, nowMs);
    this.#parts.onEvent({ kind: "try-failed", endpoint: place.endpoint, code });
  }

  /** A health check ended. */
  checked(place: Place, outcome: CheckOutcome): void {
    const { config, clock, onEvent } = this.#parts;
    if (config.healthCheck === undefined) return;
    this.#setStanding(place, afterCheck(place.standing, outcome, config.healthCheck), clock.monotonicMs());
    const code: ErrorCode | undefined = outcome.kind === "failed" ? outcome.failure.code : undefined;
    onEvent({ kind: "check", endpoint: place.endpoint, code });
    if (place.target !== undefined && isLost(place.standing, outcome, config)) onEvent({ kind: "lost", target: place.target });
  }

  #observe(verdict: "answer" | "failure" | "neutral", isProbe: boolean, nowMs: number): void {
    const { circuitBreaker } = this.#parts.config;
    if (circuitBreaker === undefined) return;
    this.#setCircuit(afterTry(this.#circuit, { verdict, isProbe, nowMs }, circuitBreaker));
  }

  #refusal(): AmbassadorError {
    const last = this.#lastFailure === undefined ? "" : `: ${this.#lastFailure.message}`;
    return new AmbassadorError("NO_ENDPOINT", `No connection is tried for a while, as too many failed${last}`);
  }

  #setCircuit(circuit: Circuit): void {
    const before = this.#circuit;
    this.#circuit = circuit;
    if (before.kind === circuit.kind) return;
    const { log, onEvent } = this.#parts;
    onEvent({ kind: "circuit", state: circuit.kind });
    if (circuit.kind === "open") log.warn("circuit opened", { until: this.#timeOf(circuit.untilMs), reason: this.#lastFailure?.message });
    else if (circuit.kind === "closed") log.info("circuit closed");
    else log.debug("circuit half-open");
  }

  /** As the log's own times are written. */
  #timeOf(atMs: number): string {
    return new Date(wallOf(this.#parts.clock, atMs)).toISOString();
  }

  #setStanding(place: Place, now: Standing, nowMs: number): void {
    const before = place.standing;
    if (before === now) return;
    place.standing = now;
    const { log, onEvent } = this.#parts;
    const fields = { endpoint: place.endpoint, address: addressOf(place) };
    if (before.health !== now.health) {
      onEvent({ kind: "health", endpoint: place.endpoint, health: now.health });
      if (now.health === "unhealthy") log.warn("endpoint is unhealthy", { ...fields, reason: now.lastFailure?.message });
      else log.info("endpoint is healthy", fields);
    }
    if (before.role !== now.role && before.role !== undefined) log.info("endpoint changed its role", { ...fields, role: now.role });
    if (isEjected(before, nowMs) === isEjected(now, nowMs)) return;
    if (now.ejectedUntilMs === undefined) return log.info("endpoint is taken back", fields);
    onEvent({ kind: "ejected", endpoint: place.endpoint });
    log.warn("endpoint is left out for its failures", {
      ...fields,
      until: this.#timeOf(now.ejectedUntilMs),
      reason: now.lastFailure?.message,
    });
  }
}

const freePass: Admission = { isProbe: false };

function addressOf(place: Place): string | undefined {
  return place.target?.address.kind === "tcp" ? place.target.address.host : undefined;
}
