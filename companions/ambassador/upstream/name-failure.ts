import { AmbassadorError } from "../errors.ts";
import { formatAddress } from "../../frame/address.ts";
import type { Target } from "./upstream.ts";

/**
 * The error as the client and the log should hear it: one sentence with the endpoint and the reason. What says so already, every subclass, and
 * what is not about the upstream stays as it is; what protocols keep in `cause` stays there.
 */
export function nameFailure(error: unknown, target: Target): unknown {
  if (!(error instanceof AmbassadorError) || error.constructor !== AmbassadorError || !isOfUpstream(error)) return error;
  const { code, message, cause } = error;
  if (code === "UPSTREAM_UNREACHABLE") {
    const reason = cause instanceof Error ? cause.message : undefined;
    if (message.includes(target.endpoint) && (reason === undefined || message.includes(reason))) return error;
    const place = formatAddress(target.address);
    const where = place === target.endpoint ? place : `${target.endpoint} (${place})`;
    return new AmbassadorError(code, `Cannot connect to ${where}: ${reason ?? message}`, { cause });
  }
  if (message.includes(target.endpoint)) return error;
  return new AmbassadorError(code, `${target.endpoint}: ${message}`, { cause });
}

function isOfUpstream({ code }: AmbassadorError): boolean {
  return code.startsWith("UPSTREAM_") || code === "LOGIN_REFUSED";
}
