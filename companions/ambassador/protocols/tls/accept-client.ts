import { startTimer, messageOf } from "@peapod/kit";
import type { CommonListenerConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { AmbassadorError } from "../../errors.ts";
import { type Wire, WireEnded } from "../../flow/wire.ts";

/**
 * Speaks TLS with the client where the listener has a certificate of its own; else does nothing. It must be done within `handshakeMs`.
 * Throws CREDENTIAL_MISSING; CLIENT_PROTOCOL for a client that speaks no TLS or shows no certificate that is wanted; CLIENT_GONE.
 */
export async function acceptClientTls(
  client: Wire,
  listener: Pick<CommonListenerConfig, "serverTls" | "handshakeMs">,
  credentials: Credentials,
): Promise<void> {
  const { serverTls, handshakeMs } = listener;
  if (serverTls === undefined) return;
  const secureContext = credentials.serverContext(serverTls);
  const timer = startTimer(() => client.destroy(), handshakeMs);
  try {
    await client.acceptTls(secureContext, { requestCert: serverTls.clientCaFile !== undefined });
  } catch (cause) {
    if (cause instanceof WireEnded) throw new AmbassadorError("CLIENT_GONE", "The client ended before TLS began", { cause });
    throw new AmbassadorError("CLIENT_PROTOCOL", `Cannot speak TLS with the client: ${messageOf(cause)}`, {
      cause,
    });
  } finally {
    timer[Symbol.dispose]();
  }
}
