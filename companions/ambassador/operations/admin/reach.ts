import { abortAfter } from "@peapod/kit";
import { abortSignalOf } from "../../flow/cancel.ts";
import { AmbassadorError } from "../../errors.ts";
import { dialUpstream } from "../../upstream/dial-upstream.ts";
import type { Listener } from "../listener.ts";

/**
 * Tries an upstream of a listener as a client's connection would, with the protocol's own check: a login where it has one. Gives the problem
 * as a line, or nothing. The outcome counts for ejection and the circuit like any other.
 */
export async function untilReachable({ config, protocol, upstream }: Listener): Promise<string[]> {
  const { check } = protocol;
  const signal = abortAfter(config.upstream.connectMs * config.upstream.retry.attempts);
  try {
    const lease = await upstream.connect(
      async (target, trySignal) => {
        if (check !== undefined) return await check(target, abortSignalOf(trySignal));
        const wire = await dialUpstream(target, config.upstream, undefined, trySignal);
        wire.destroy();
        return undefined;
      },
      { signal, isJudgedLater: check === undefined && config.protocol === "http" }, // by answers alone
    );
    lease[Symbol.dispose]();
    return [];
  } catch (cause) {
    if (signal.aborted) return [`${config.name}: the upstream did not answer in time`];
    if (!(cause instanceof AmbassadorError)) throw cause;
    return [`${config.name}: ${cause.message}`];
  }
}
