import type { TlsListenerConfig } from "../../config/config.ts";
import { AmbassadorError } from "../../errors.ts";
import type { Check } from "../../upstream/upstream.ts";
import type { MakeProtocol } from "../protocol.ts";
import { forwarding } from "./forwarding.ts";
import { openUpstream } from "./open-upstream.ts";

/**
 * Plain bytes in, TLS out: the upstream's certificate is held to the configured mode, ours is shown where there is one, and the endpoint's
 * name (or `serverName`) is asked for by SNI. No ALPN: what is spoken inside is not known here.
 * A health check does the whole handshake, so that a certificate that has run out makes its endpoint unhealthy before a client meets it.
 */
export const tlsProtocol: MakeProtocol<TlsListenerConfig> = (listener, { credentials }) => {
  if (listener.upstream.tls === undefined)
    throw new AmbassadorError("CONFIG_INVALID", `Listener "${listener.name}": protocol tls needs upstream.tls`);
  const check: Check = async (target, signal) => {
    const wire = await openUpstream(target, { upstream: listener.upstream, credentials, onBehalfOf: undefined }, signal);
    wire.destroy();
    return undefined;
  };
  return { ...forwarding(listener, credentials), check };
};
