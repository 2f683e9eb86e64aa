import type { UpstreamConfig, UpstreamTlsConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { abortable } from "../../flow/abortable.ts";
import type { CancelSignal } from "../../flow/cancel.ts";
import { dialUpstream, type OnBehalfOf } from "../../upstream/dial-upstream.ts";
import { startUpstreamTls } from "../../upstream/upstream-tls.ts";
import type { Wire } from "../../flow/wire.ts";
import type { Target } from "../../upstream/upstream.ts";

/** What a connection to an upstream is made with. */
export interface OpenParts {
  readonly upstream: Pick<UpstreamConfig, "tls" | "connectMs" | "keepAliveMs" | "sendProxyProtocol">;
  readonly credentials: Credentials;
  /** Undefined for a health check. */
  readonly onBehalfOf: OnBehalfOf | undefined;
}

/**
 * Connects, and begins with TLS where that is configured: for protocols that do not ask first.
 * Throws UPSTREAM_UNREACHABLE, UPSTREAM_UNTRUSTED, CREDENTIAL_MISSING, or the signal's reason; nothing stays open then.
 */
export function openUpstream(target: Target, parts: OpenParts, signal: CancelSignal): Promise<Wire> {
  const { tls } = parts.upstream;
  if (tls === undefined || tls.mode === "disable") return dialUpstream(target, parts.upstream, parts.onBehalfOf, signal);
  return openEncrypted(target, tls, parts, signal);
}

async function openEncrypted(target: Target, tls: UpstreamTlsConfig, parts: OpenParts, signal: CancelSignal): Promise<Wire> {
  const { upstream, credentials, onBehalfOf } = parts;
  const wire = await dialUpstream(target, upstream, onBehalfOf, signal);
  await abortable(wire, signal, () => startUpstreamTls(wire, target, tls, { credentials }));
  return wire;
}
