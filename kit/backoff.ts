/** A back-off curve: the first wait, doubled each time, up to the longest. */
export interface BackoffCurve {
  readonly initialMs: number;
  readonly maximumMs: number;
}

/** How long to wait before attempt number `attempt` (0 is the first retry). */
export function backoffMs(curve: BackoffCurve, attempt: number): number {
  return Math.min(curve.maximumMs, curve.initialMs * 2 ** Math.min(attempt, 30));
}
