/** What one check found. */
export interface Finding {
  readonly name: string;
  /** `fail`: pods cannot run; `warn`: something will not work, or not well. */
  readonly state: "ok" | "warn" | "fail";
  /** What was seen. */
  readonly found: string;
  /** What to run, or to do, to mend it. */
  readonly mend?: string;
}

/** A check of this machine; never rejects but for the signal. */
export type Check = (facts: CheckFacts) => Promise<Finding[]>;

/** What checks work with. */
export interface CheckFacts {
  readonly stateDir: string;
  readonly runDir: string;
  readonly isRoot: boolean;
  readonly signal: AbortSignal;
}

/** Everything is well. */
export function ok(name: string, found: string): Finding {
  return { name, state: "ok", found };
}

/** Something lacks; `mend` says what to do. */
export function lacks(state: "warn" | "fail", name: string, found: string, mend: string): Finding {
  return { name, state, found, mend };
}
