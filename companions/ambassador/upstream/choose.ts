import type { UpstreamConfig } from "../config/config.ts";
import { isEjected, roleOf, type Standing } from "./standing.ts";

/** For so long after a failure the other addresses of the same name come first: it may have no IPv6 here, or a dead server among them. */
const SHUN_MS = 30_000;

/** One address that a connection may go to. */
export interface Candidate {
  /** Addresses of one name share it. */
  readonly endpoint: string;
  readonly standing: Standing;
  readonly connections: number;
}

export interface ChoiceContext<C extends Candidate> {
  readonly strategy: UpstreamConfig["strategy"];
  readonly target: UpstreamConfig["target"];
  readonly nowMs: number;
  /** The index chosen before: turns go on from there. */
  readonly after: number;
  /** Not to be chosen: they failed this connection already. */
  readonly tried: ReadonlySet<C> | undefined;
  /** From 0 to below 1, as Math.random gives. */
  readonly random: () => number;
}

/**
 * The index of the candidate to try; undefined when none may be. Only those of the best rank that is there compete:
 * what is unhealthy never does; what is ejected, or unhealthy for nothing but refused credentials, does when nothing better is left, so that
 * the last one is never ejected; what is known to have the wrong role does at the very end, as it may have changed.
 */
export function choose<C extends Candidate>(candidates: readonly C[], context: ChoiceContext<C>): number | undefined {
  const { strategy, after, random } = context;
  if (candidates.length === 1) return mayBeTried(candidates[0], context) ? 0 : undefined; // of most listeners
  const pool = shunFailing(bestOf(candidates, context), candidates, context.nowMs);
  const [first] = pool;
  if (first === undefined || pool.length === 1) return first;
  switch (strategy) {
    case "first-available":
      return first;
    case "round-robin":
      return pool.find((index) => index > after) ?? first;
    case "least-connections": {
      const least = Math.min(...pool.map((index) => connectionsAt(candidates, index)));
      const idlest = pool.filter((index) => connectionsAt(candidates, index) === least);
      return idlest.find((index) => index > after) ?? idlest[0];
    }
    case "random-of-two": {
      const one = Math.floor(random() * pool.length);
      const other = (one + 1 + Math.floor(random() * (pool.length - 1))) % pool.length;
      const [a = first, b = first] = [pool[one], pool[other]];
      return connectionsAt(candidates, b) < connectionsAt(candidates, a) ? b : a;
    }
  }
}

/** How good a candidate is, 0 the best; undefined: not to be tried. */
export function rank(standing: Standing, target: UpstreamConfig["target"], nowMs: number): number | undefined {
  if (standing.health === "unhealthy" && !standing.isRefusing) return undefined;
  const isLastResort = standing.isRefusing || isEjected(standing, nowMs);
  const role = target === "any" ? undefined : roleOf(standing, nowMs);
  // A preference yields to a server that is well; a need does not.
  if (target === "prefer-read-only") return (isLastResort ? 2 : 0) + (role === "read-write" ? 1 : 0);
  return (role !== undefined && role !== target ? 2 : 0) + (isLastResort ? 1 : 0);
}

function mayBeTried<C extends Candidate>(candidate: C | undefined, { target, nowMs, tried }: ChoiceContext<C>): boolean {
  return candidate !== undefined && tried?.has(candidate) !== true && rank(candidate.standing, target, nowMs) !== undefined;
}

function bestOf<C extends Candidate>(candidates: readonly C[], { target, nowMs, tried }: ChoiceContext<C>): number[] {
  let best = Infinity;
  let pool: number[] = [];
  for (const [index, candidate] of candidates.entries()) {
    if (tried?.has(candidate) === true) continue;
    const its = rank(candidate.standing, target, nowMs) ?? Infinity;
    if (its < best) pool = [index];
    else if (its === best && its !== Infinity) pool.push(index);
    if (its < best) best = its;
  }
  return pool;
}

function shunFailing(pool: number[], candidates: readonly Candidate[], nowMs: number): number[] {
  if (pool.length < 2) return pool;
  const failing = pool.filter((index) => hasJustFailed(candidates[index], nowMs));
  if (failing.length === 0) return pool;
  const reliable = new Set(pool.filter((index) => !failing.includes(index)).map((index) => candidates[index]?.endpoint));
  const shunned = failing.filter((index) => reliable.has(candidates[index]?.endpoint));
  return pool.filter((index) => !shunned.includes(index));
}

function hasJustFailed(candidate: Candidate | undefined, nowMs: number): boolean {
  if (candidate === undefined) return false;
  const { failuresInARow, hasFailedInUse, lastFailure } = candidate.standing;
  return failuresInARow > 0 && !hasFailedInUse && nowMs - (lastFailure?.atMs ?? 0) < SHUN_MS;
}

function connectionsAt(candidates: readonly Candidate[], index: number): number {
  return candidates[index]?.connections ?? 0;
}
