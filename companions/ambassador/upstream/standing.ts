import type { HealthCheckConfig, UpstreamConfig } from "../config/config.ts";
import type { ErrorCode } from "../errors.ts";
import type { EndpointState, Role } from "./upstream.ts";

/** How long a role that a login found is believed; one that a health check found is, until the next check. */
const ROLE_BELIEVED_MS = 60_000;

/** What is known of one address of an endpoint; times are by the monotonic clock. */
export interface Standing {
  readonly health: EndpointState["health"];
  /** Unhealthy only because it refused the credentials: then it is a last resort, as new ones may have come since. */
  readonly isRefusing: boolean;
  /** Checks in a row that spoke against the verdict. */
  readonly dissent: number;
  /** Checks in a row that failed, and not for nothing but refused credentials: a server that is not there refuses none. */
  readonly downInARow: number;
  readonly role: Role | undefined;
  readonly roleUntilMs: number;
  /** Of real connections. */
  readonly failuresInARow: number;
  /** The last of them was in the use of a connection that stood: it is reached as well as any other address of its name. */
  readonly hasFailedInUse: boolean;
  readonly ejectedUntilMs: number | undefined;
  readonly lastFailure: Failure | undefined;
}

export type Failure = NonNullable<EndpointState["lastFailure"]>;

/** What is known at first. */
export const unknownStanding: Standing = {
  health: "unknown",
  isRefusing: false,
  dissent: 0,
  downInARow: 0,
  role: undefined,
  roleUntilMs: 0,
  failuresInARow: 0,
  hasFailedInUse: false,
  ejectedUntilMs: undefined,
  lastFailure: undefined,
};

/**
 * What an error says about the endpoint. `failure`: it does not serve. `answer`: it does, but not this login, or not in this role.
 * `neutral`: nothing; the reason is on our side, or the client's.
 */
export function blame(code: ErrorCode): "failure" | "answer" | "neutral" {
  switch (code) {
    case "UPSTREAM_UNREACHABLE":
    case "UPSTREAM_TIMEOUT":
    case "UPSTREAM_UNTRUSTED":
    case "UPSTREAM_BUSY":
    case "UPSTREAM_PROTOCOL":
      return "failure";
    case "UPSTREAM_ROLE":
    case "LOGIN_REFUSED":
      return "answer";
    case "NO_ENDPOINT":
    case "LIMIT_REACHED":
    case "RATE_LIMITED":
    case "CREDENTIAL_MISSING":
    case "CLIENT_PROTOCOL":
    case "CLIENT_GONE":
    case "DRAINING":
    case "CONFIG_INVALID":
    case "LISTEN_FAILED":
      return "neutral";
  }
}

/** The role, where it is known and not too old. */
export function roleOf(standing: Standing, nowMs: number): Role | undefined {
  return nowMs < standing.roleUntilMs ? standing.role : undefined;
}

/** Whether it is left out because of its failures. */
export function isEjected(standing: Standing, nowMs: number): boolean {
  return standing.ejectedUntilMs !== undefined && nowMs < standing.ejectedUntilMs;
}

/** After a connection was made, or used well, with the role it had to find (undefined: any). The same object where nothing is new. */
export function afterSuccess(standing: Standing, found: Role | undefined, nowMs: number): Standing {
  const isRoleNews = found !== undefined && roleOf(standing, nowMs) !== found;
  if (standing.failuresInARow === 0 && standing.ejectedUntilMs === undefined && !isRoleNews) return standing;
  const role = isRoleNews ? { role: found, roleUntilMs: nowMs + ROLE_BELIEVED_MS } : {};
  return { ...standing, ...role, failuresInARow: 0, hasFailedInUse: false, ejectedUntilMs: undefined };
}

/**
 * After a try failed, or (`isInUse`) what a connection was used for. Failures in a row, as many as `ejection` says, eject it; after its time the
 * next failure ejects it again at once, and the next success clears it. A wrong role is remembered as the other one than was wanted.
 */
export function afterFailure(
  standing: Standing,
  failure: Failure,
  context: { readonly ejection: UpstreamConfig["ejection"]; readonly wanted: Role | undefined; readonly isInUse?: boolean },
): Standing {
  const { ejection, wanted, isInUse = false } = context;
  switch (blame(failure.code)) {
    case "neutral":
      return { ...standing, lastFailure: failure };
    case "answer": {
      const role = failure.code === "UPSTREAM_ROLE" && wanted !== undefined ? otherThan(wanted, failure.atMs) : {};
      return { ...standing, ...role, failuresInARow: 0, hasFailedInUse: false, ejectedUntilMs: undefined, lastFailure: failure };
    }
    case "failure": {
      const failuresInARow = standing.failuresInARow + 1;
      const isOut = ejection !== undefined && failuresInARow >= ejection.failures;
      const ejectedUntilMs = isOut ? failure.atMs + ejection.forMs : standing.ejectedUntilMs;
      return { ...standing, failuresInARow, hasFailedInUse: isInUse, ejectedUntilMs, lastFailure: failure };
    }
  }
}

/** What a health check said: that it is well, with its role where there is one, or what failed. */
export type CheckOutcome =
  | { readonly kind: "passed"; readonly role: Role | undefined }
  | { readonly kind: "failed"; readonly failure: Failure };

/** After a health check. The first that passes is believed at once; every other change of the verdict takes as many in a row as configured. */
export function afterCheck(
  standing: Standing,
  outcome: CheckOutcome,
  thresholds: Pick<HealthCheckConfig, "healthyAfter" | "unhealthyAfter">,
): Standing {
  const { health } = standing;
  if (outcome.kind === "passed") {
    const known = { downInARow: 0, ...(outcome.role === undefined ? {} : { role: outcome.role, roleUntilMs: Infinity }) };
    if (health === "healthy") return { ...standing, ...known, dissent: 0 };
    const dissent = standing.dissent + 1;
    if (health === "unhealthy" && dissent < thresholds.healthyAfter) return { ...standing, ...known, dissent };
    return { ...standing, ...known, health: "healthy", isRefusing: false, dissent: 0 };
  }
  const { failure } = outcome;
  const isRefusing = failure.code === "LOGIN_REFUSED" || failure.code === "CREDENTIAL_MISSING";
  const downInARow = isRefusing ? 0 : standing.downInARow + 1;
  if (health === "unhealthy") return { ...standing, isRefusing, dissent: 0, downInARow, lastFailure: failure };
  const dissent = standing.dissent + 1;
  if (dissent < thresholds.unhealthyAfter) return { ...standing, dissent, downInARow, lastFailure: failure };
  return { ...standing, health: "unhealthy", isRefusing, dissent: 0, downInARow, lastFailure: failure };
}

/**
 * Whether a check, with the standing after it, says that connections at this address are of no use any more: as many as make it unhealthy
 * failed in a row, for more than refused credentials; or it has another role than the one that is needed, not only preferred.
 */
export function isLost(standing: Standing, outcome: CheckOutcome, config: Pick<UpstreamConfig, "healthCheck" | "target">): boolean {
  const { healthCheck, target } = config;
  if (healthCheck?.closeConnections !== true) return false;
  if (outcome.kind === "failed") return standing.downInARow >= healthCheck.unhealthyAfter;
  const isNeeded = target === "read-write" || target === "read-only";
  return isNeeded && outcome.role !== undefined && outcome.role !== target;
}

function otherThan(role: Role, nowMs: number): Pick<Standing, "role" | "roleUntilMs"> {
  return { role: role === "read-write" ? "read-only" : "read-write", roleUntilMs: nowMs + ROLE_BELIEVED_MS };
}
