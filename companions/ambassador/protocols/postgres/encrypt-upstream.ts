import type { TLSSocket } from "node:tls";
import type { UpstreamTlsConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { AmbassadorError } from "../../errors.ts";
import { startUpstreamTls } from "../../upstream/upstream-tls.ts";
import type { Wire } from "../../flow/wire.ts";
import type { Target } from "../../upstream/upstream.ts";
import { ALPN, formatSslRequest } from "./client-request.ts";

/**
 * Brings a new connection to the encryption that the mode asks for, by libpq's rules: SSLRequest and one byte, or TLS at once where it is
 * `direct`; never on a UNIX socket. Throws UPSTREAM_UNTRUSTED where the server has no TLS and must, or sent anything before TLS began.
 */
export async function encryptUpstream(
  wire: Wire,
  target: Target,
  tls: UpstreamTlsConfig | undefined,
  credentials: Credentials,
): Promise<void> {
  if (tls === undefined || tls.mode === "disable" || target.address.kind === "unix") return;
  if (tls.direct) {
    const secure = await startUpstreamTls(wire, target, tls, { credentials, ALPNProtocols: [ALPN] });
    requireAlpn(secure, target);
    return;
  }
  wire.write(formatSslRequest());
  const answer = (await wire.read(1)).toString("latin1");
  if (wire.buffered > 0)
    throw new AmbassadorError("UPSTREAM_UNTRUSTED", `The upstream ${target.endpoint} sent plain text before TLS began`);
  if (answer === "S") {
    const secure = await startUpstreamTls(wire, target, tls, { credentials, ALPNProtocols: [ALPN] });
    if (secure.alpnProtocol !== false) requireAlpn(secure, target); // servers before 17 name none
  } else if (answer !== "N")
    throw new AmbassadorError("UPSTREAM_PROTOCOL", `The upstream ${target.endpoint} did not answer the request for TLS with yes or no`);
  else if (tls.mode !== "prefer") throw new AmbassadorError("UPSTREAM_UNTRUSTED", `The upstream ${target.endpoint} does not speak TLS`);
}

/** Direct TLS could be anybody's: only the agreed name says that PostgreSQL is at the other end. */
function requireAlpn(secure: TLSSocket, target: Target): void {
  if (secure.alpnProtocol !== ALPN)
    throw new AmbassadorError("UPSTREAM_UNTRUSTED", `The upstream ${target.endpoint} speaks TLS, but not PostgreSQL in it`);
}
