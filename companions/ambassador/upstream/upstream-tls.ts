import { messageOf } from "@peapod/kit";
import { isIP } from "node:net";
import type { TLSSocket } from "node:tls";
import type { UpstreamTlsConfig } from "../config/config.ts";
import type { Credentials } from "../credentials/credentials.ts";
import { AmbassadorError } from "../errors.ts";
import type { Target } from "./upstream.ts";
import type { Wire } from "../flow/wire.ts";

/**
 * Speaks TLS to an upstream from here on, and holds its certificate to the mode: `verify-full` by authority and name, `verify-ca` by
 * authority, below that not at all. Throws UPSTREAM_UNTRUSTED with the reason, CREDENTIAL_MISSING for files that are not there.
 */
export async function startUpstreamTls(
  wire: Wire,
  target: Target,
  tls: UpstreamTlsConfig,
  parts: { readonly credentials: Credentials; readonly ALPNProtocols?: string[] },
): Promise<TLSSocket> {
  const name = tls.serverName ?? target.host;
  const { ALPNProtocols } = parts;
  try {
    return await wire.startTls({
      secureContext: parts.credentials.upstreamContext(tls),
      rejectUnauthorized: tls.mode === "verify-ca" || tls.mode === "verify-full",
      host: name,
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ...(tls.mode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
      ...(ALPNProtocols === undefined ? {} : { ALPNProtocols }),
    });
  } catch (cause) {
    if (cause instanceof AmbassadorError) throw cause;
    throw new AmbassadorError("UPSTREAM_UNTRUSTED", `Cannot speak TLS with ${target.endpoint}: ${messageOf(cause)}`, { cause });
  }
}
