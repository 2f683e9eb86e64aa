import { messageOf } from "@peapod/kit";
import { type IncomingMessage, request as requestPlain } from "node:http";
import type { HttpListenerConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { AmbassadorError } from "../../errors.ts";
import { makeProxyHeader } from "../../flow/proxy-protocol.ts";
import type { Check } from "../../upstream/upstream.ts";
import type { ExchangeParts } from "./exchange.ts";
import { openSocket } from "./open-socket.ts";
import { MAX_HEAD_BYTES } from "./send.ts";
import { sentFields } from "./sent-fields.ts";

/** A GET of the configured path, with the credentials of any request: well is 2xx or 3xx. Undefined where connecting is all that is asked. */
export function makeCheck(
  upstream: HttpListenerConfig["upstream"],
  parts: Pick<ExchangeParts, "injection" | "hostOf"> & { readonly credentials: Credentials },
): Check | undefined {
  const { healthCheck } = upstream;
  if (healthCheck === undefined || healthCheck.kind === "connect") return undefined;
  const { path } = healthCheck;
  const { sendProxyProtocol: version } = upstream;
  const preamble = version === undefined ? undefined : makeProxyHeader(version, undefined); // on nobody's behalf
  return async (target, signal) => {
    const injected = await parts.injection.fields(signal);
    const { address, host } = target;
    const hostValue = parts.hostOf({ host, port: address.kind === "tcp" ? address.port : undefined }, undefined);
    const plain = { fields: ["Host", hostValue, "User-Agent", "ambassador-check"], upgrade: undefined, takesTrailers: false };
    const socket = await openSocket(target, { upstream, credentials: parts.credentials, preamble }, signal);
    try {
      const headers = sentFields(plain, hostValue, injected.fields);
      const request = requestPlain({ path, headers, createConnection: () => socket, maxHeaderSize: MAX_HEAD_BYTES, signal });
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
      request
        .once("response", resolve)
        .on("error", reject)
        .once("close", () => reject(new Error("it ended without an answer")))
        .end();
      const { statusCode = 0 } = await promise;
      if (statusCode === 401) parts.injection.refused(injected);
      if (statusCode < 200 || statusCode > 399)
        throw new AmbassadorError("UPSTREAM_BUSY", `${target.endpoint} answers ${statusCode} to GET ${path}`);
      return undefined;
    } catch (cause) {
      if (cause instanceof AmbassadorError) throw cause;
      signal.throwIfAborted();
      const reason = messageOf(cause);
      throw new AmbassadorError("UPSTREAM_PROTOCOL", `${target.endpoint} does not answer GET ${path}: ${reason}`, { cause });
    } finally {
      socket.destroy();
    }
  };
}
