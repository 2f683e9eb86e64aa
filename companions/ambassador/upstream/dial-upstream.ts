import type { UpstreamConfig } from "../config/config.ts";
import type { Target } from "./upstream.ts";
import type { CancelSignal } from "../flow/cancel.ts";
import { type Ends, makeProxyHeader } from "../flow/proxy-protocol.ts";
import { dial, type Wire } from "../flow/wire.ts";

/** Who a connection is made for, as the PROXY protocol tells the upstream. Undefined for a health check (v2: LOCAL; v1: UNKNOWN). */
export type OnBehalfOf = Ends;

/** Connects to a target, and sends the PROXY protocol's header where the upstream wants one. Throws UPSTREAM_UNREACHABLE, or the signal's reason. */
export function dialUpstream(
  target: Target,
  { keepAliveMs, sendProxyProtocol: version }: Pick<UpstreamConfig, "keepAliveMs" | "sendProxyProtocol">,
  onBehalfOf: OnBehalfOf | undefined,
  signal: CancelSignal,
): Promise<Wire> {
  const onConnected = (wire: Wire): void => {
    target.onConnected?.();
    if (version !== undefined) wire.write(makeProxyHeader(version, onBehalfOf));
  };
  return dial(target.address, { keepAliveMs, onConnected }, signal);
}
