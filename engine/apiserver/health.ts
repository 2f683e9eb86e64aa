/** Something that the engine needs, and whether it has it. */
export interface HealthCheck {
  /** One word, as `store`. */
  readonly name: string;
  /** What is wrong, for a person; undefined while all is well. */
  problem(): string | undefined;
}

/**
 * The answer of `/readyz`: `ok`, or upstream's list of what is well and what is not, with 500. `/healthz` and `/livez` ask nothing: whoever
 * restarts an engine by them does not mend a disk.
 */
export function readiness(checks: readonly HealthCheck[], verbose: boolean): { readonly code: number; readonly text: string } {
  const results = checks.map((check) => ({ name: check.name, problem: check.problem() }));
  const isReady = results.every(({ problem }) => problem === undefined);
  if (isReady && !verbose) return { code: 200, text: "ok" };
  const lines = results.map(({ name, problem }) => (problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`));
  return { code: isReady ? 200 : 500, text: [...lines, `readyz check ${isReady ? "passed" : "failed"}`, ""].join("\n") };
}
