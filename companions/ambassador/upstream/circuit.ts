import type { UpstreamConfig } from "../config/config.ts";

/**
 * Keeps connections from a service that is down. Closed: all may try. Open: none may, for a while. Half-open: one may, the probe, and what
 * comes of it decides: closed again, or open again.
 */
export type Circuit =
  | { readonly kind: "closed"; readonly failures: number }
  | { readonly kind: "open"; readonly untilMs: number }
  | { readonly kind: "half-open"; readonly isProbing: boolean };

export const closedCircuit: Circuit = { kind: "closed", failures: 0 };

/** Whether one more try may begin, and what it makes of the circuit. Who is let in as the probe says so to `afterTry`. */
export function admit(circuit: Circuit, nowMs: number): { readonly circuit: Circuit; readonly isProbe: boolean } | undefined {
  switch (circuit.kind) {
    case "closed":
      return { circuit, isProbe: false };
    case "open":
      return nowMs < circuit.untilMs ? undefined : { circuit: { kind: "half-open", isProbing: true }, isProbe: true };
    case "half-open":
      return circuit.isProbing ? undefined : { circuit: { kind: "half-open", isProbing: true }, isProbe: true };
  }
}

/**
 * After a try. An answer, even of refusal, closes the circuit; failures in a row open it; a probe that came to nothing (`neutral`) leaves its
 * place to the next. Late failures of tries from before the circuit opened change nothing. The same object where nothing is new.
 */
export function afterTry(
  circuit: Circuit,
  outcome: { readonly verdict: "answer" | "failure" | "neutral"; readonly isProbe: boolean; readonly nowMs: number },
  config: NonNullable<UpstreamConfig["circuitBreaker"]>,
): Circuit {
  const { verdict, isProbe, nowMs } = outcome;
  const open: Circuit = { kind: "open", untilMs: nowMs + config.openMs };
  if (verdict === "answer") return circuit.kind === "closed" && circuit.failures === 0 ? circuit : closedCircuit;
  if (isProbe && circuit.kind === "half-open") return verdict === "failure" ? open : { kind: "half-open", isProbing: false };
  if (verdict === "neutral" || circuit.kind !== "closed") return circuit;
  const failures = circuit.failures + 1;
  return failures >= config.failures ? open : { kind: "closed", failures };
}
