import type { UpstreamConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { AmbassadorError } from "../../errors.ts";
import { dialUpstream, type OnBehalfOf } from "../../flow/dial-upstream.ts";
import { startUpstreamTls } from "../../flow/upstream-tls.ts";
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
 * Connects, and begins with TLS where that is configured: for protocols that do not ask first. `prefer` tries TLS for half of the connect
 * time (a plain server may just wait for more), then a second connection in plain text.
 * Throws UPSTREAM_UNREACHABLE, UPSTREAM_UNTRUSTED, CREDENTIAL_MISSING, or the signal's reason; nothing stays open then.
 */
export async function openUpstream(target: Target, parts: OpenParts, signal: AbortSignal): Promise<Wire> {
  const { tls, connectMs } = parts.upstream;
  if (tls === undefined || tls.mode === "disable") return await dialUpstream(target, parts.upstream, parts.onBehalfOf, signal);
  if (tls.mode !== "prefer") return await openTls(target, tls, parts, signal);
  try {
    return await openTls(target, tls, parts, AbortSignal.any([signal, AbortSignal.timeout(connectMs / 2)]));
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    if (cause instanceof AmbassadorError && cause.code !== "UPSTREAM_UNTRUSTED") throw cause;
    return await dialUpstream(target, parts.upstream, parts.onBehalfOf, signal);
  }
}

async function openTls(
  target: Target,
  tls: NonNullable<UpstreamConfig["tls"]>,
  { upstream, credentials, onBehalfOf }: OpenParts,
  signal: AbortSignal,
): Promise<Wire> {
  const wire = await dialUpstream(target, upstream, onBehalfOf, signal);
  const abort = (): void => wire.destroy();
  signal.addEventListener("abort", abort, { once: true });
  try {
    await startUpstreamTls(wire, target, tls, { credentials });
    signal.throwIfAborted();
    return wire;
  } catch (cause) {
    wire.destroy();
    signal.throwIfAborted();
    throw cause;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
