import type { AmbassadorError } from "../errors.ts";
import { blame } from "./standing.ts";
import type { Lease, Target } from "./upstream.ts";

/** Told once: undefined for what says nothing of the endpoint. */
type Tell = (outcome: "well" | AmbassadorError | undefined) => void;

/** A lease that whoever uses the connection gives a verdict to; at the latest its release ends the waiting for one. */
export class JudgedLease<T> implements Lease<T> {
  readonly value: T;
  readonly target: Target;
  readonly #lease: Lease<T>;
  #tell: Tell | undefined;

  constructor(lease: Lease<T>, tell: Tell) {
    this.value = lease.value;
    this.target = lease.target;
    this.#lease = lease;
    this.#tell = tell;
  }

  judge(outcome: "well" | AmbassadorError): void {
    const isNeutral = outcome !== "well" && blame(outcome.code) === "neutral";
    const tell = this.#tell;
    this.#tell = undefined;
    tell?.(isNeutral ? undefined : outcome);
  }

  [Symbol.dispose](): void {
    const tell = this.#tell;
    this.#tell = undefined;
    tell?.(undefined);
    this.#lease[Symbol.dispose]();
  }
}
