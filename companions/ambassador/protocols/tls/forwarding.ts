import type { CommonListenerConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import type { Wire } from "../../flow/wire.ts";
import type { Protocol, Session } from "../protocol.ts";
import { acceptClientTls } from "./accept-client.ts";
import { openUpstream } from "./open-upstream.ts";

/** Opens the upstream as it is configured, plain or TLS, and passes bytes untouched until both sides have ended. */
export function forwarding(listener: CommonListenerConfig, credentials: Credentials): Extract<Protocol, { kind: "wire" }> {
  const { upstream } = listener;
  const serve = async (client: Wire, session: Session): Promise<void> => {
    try {
      await acceptClientTls(client, listener, credentials);
      const parts = { upstream, credentials, onBehalfOf: { client: session.client, local: session.local } };
      using lease = await session.connect((target, signal) => openUpstream(target, parts, signal));
      await session.splice(client, lease.value, { finish: session.end });
    } catch (cause) {
      client.reset(); // an orderly end would look like an empty answer
      throw cause;
    }
  };
  return { kind: "wire", serve, check: undefined };
}
