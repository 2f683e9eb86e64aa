import { messageOf } from "@peapod/kit";
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { UpstreamConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { AmbassadorError } from "../../errors.ts";
import { formatAddress } from "../../../frame/address.ts";
import type { Target } from "../../upstream/upstream.ts";

/** What a connection to an upstream is made with. `preamble` is sent before anything else, TLS too: the PROXY protocol's header. */
export interface OpenSocketParts {
  readonly upstream: Pick<UpstreamConfig, "tls" | "keepAliveMs">;
  readonly credentials: Credentials;
  readonly preamble: Uint8Array | undefined;
}

/**
 * Connects to a target, with TLS where it is configured, as a socket that node:http can use. HTTP has no way to ask whether the other side
 * speaks TLS: `prefer` is `require` here. Throws UPSTREAM_UNREACHABLE, UPSTREAM_UNTRUSTED, CREDENTIAL_MISSING, or the signal's reason.
 */
export async function openSocket(target: Target, parts: OpenSocketParts, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const { tls } = parts.upstream;
  const secureContext = tls === undefined || tls.mode === "disable" ? undefined : parts.credentials.upstreamContext(tls);
  const plain = dial(target, parts.upstream.keepAliveMs);
  await until(plain, "connect", signal, (cause) => {
    throw new AmbassadorError("UPSTREAM_UNREACHABLE", `Cannot connect to ${formatAddress(target.address)}`, { cause });
  });
  target.onConnected?.();
  if (parts.preamble !== undefined) plain.write(parts.preamble);
  if (tls === undefined || secureContext === undefined) return plain;
  const name = tls.serverName ?? target.host;
  const secure = connectTls({
    socket: plain,
    secureContext,
    rejectUnauthorized: tls.mode === "verify-ca" || tls.mode === "verify-full",
    host: name,
    ALPNProtocols: ["http/1.1"],
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(tls.mode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
  });
  await until(secure, "secureConnect", signal, (cause) => {
    plain.destroy();
    const reason = messageOf(cause);
    throw new AmbassadorError("UPSTREAM_UNTRUSTED", `Cannot speak TLS with ${target.endpoint}: ${reason}`, { cause });
  });
  return secure;
}

function dial({ address }: Target, keepAliveMs: number | undefined): Socket {
  if (address.kind === "unix") return connectPlain({ path: address.path });
  const probes = keepAliveMs === undefined ? {} : { keepAlive: true, keepAliveInitialDelay: keepAliveMs };
  return connectPlain({ host: address.host, port: address.port, noDelay: true, ...probes });
}

/** Waits for a socket's event. It keeps a listener for errors: whoever uses the socket hears of them in its own way. */
async function until(socket: Socket, event: string, signal: AbortSignal, fail: (cause: unknown) => never): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = (): void => reject(signal.reason);
  const close = (): void => reject(new Error("the connection ended"));
  signal.addEventListener("abort", abort, { once: true });
  socket.once(event, resolve).on("error", reject).once("close", close);
  try {
    await promise;
  } catch (cause) {
    socket.destroy();
    signal.throwIfAborted();
    fail(cause);
  } finally {
    signal.removeEventListener("abort", abort);
    socket.off("close", close).off(event, resolve);
  }
}
