import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { startTimer, messageOf } from "@peapod/kit";
import type { CommonListenerConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { AmbassadorError } from "../../errors.ts";

/**
 * Speaks TLS with a client where the listener has a certificate, within `handshakeMs`. Throws CREDENTIAL_MISSING; CLIENT_PROTOCOL for a client
 * that speaks no TLS, or whose certificate is wanted and does not hold.
 */
export async function acceptTls(
  socket: Socket,
  { serverTls, handshakeMs }: Pick<CommonListenerConfig, "serverTls" | "handshakeMs">,
  credentials: Credentials,
): Promise<Socket> {
  if (serverTls === undefined) return socket;
  const mustShow = serverTls.clientCaFile !== undefined;
  const secure = new TLSSocket(socket, {
    isServer: true,
    secureContext: credentials.serverContext(serverTls),
    requestCert: mustShow,
    rejectUnauthorized: mustShow,
    ALPNProtocols: ["http/1.1"],
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = startTimer(() => reject(new Error("it takes too long")), handshakeMs);
  const end = (): void => reject(new Error("the client ended"));
  socket.on("error", reject).once("close", end);
  secure.once("secure", resolve).on("error", reject).once("close", end);
  try {
    await promise;
    if (mustShow) requireVerified(secure);
    return secure;
  } catch (cause) {
    secure.destroy();
    socket.destroy();
    const reason = messageOf(cause);
    throw new AmbassadorError("CLIENT_PROTOCOL", `Cannot speak TLS with the client: ${reason}`, { cause });
  } finally {
    timer[Symbol.dispose]();
    socket.off("close", end);
    secure.off("close", end).off("secure", resolve);
  }
}

/** The handshake itself only asks that there is a certificate: tls.Server looks at the verdict after it, and so must whoever uses TLSSocket alone. */
function requireVerified(secure: TLSSocket): void {
  const handle: unknown = Reflect.get(secure, "_handle");
  if (typeof handle !== "object" || handle === null || !("verifyError" in handle) || typeof handle.verifyError !== "function")
    throw new Error("the verdict on the certificate cannot be had");
  const verdict: unknown = handle.verifyError();
  if (verdict instanceof Error) throw verdict;
  if (secure.getPeerX509Certificate() === undefined) throw new Error("no certificate");
}
