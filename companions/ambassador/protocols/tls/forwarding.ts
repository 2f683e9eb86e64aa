import type { CommonListenerConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import type { Wire } from "../../flow/wire.ts";
import type { Lease } from "../../upstream/upstream.ts";
import type { Protocol, Session } from "../protocol.ts";
import { acceptClientTls } from "./accept-client.ts";
import { openUpstream } from "./open-upstream.ts";

/** Opens the upstream as it is configured, plain or TLS, and passes bytes untouched until both sides have ended. */
export function forwarding(listener: CommonListenerConfig, credentials: Credentials): Extract<Protocol, { kind: "wire" }> {
  const { upstream } = listener;
  const serve = async (client: Wire, session: Session): Promise<void> => {
    let lease: Lease<Wire> | undefined; // not `using`, which costs a hundredth of a short connection's time
    try {
      if (listener.serverTls !== undefined) await acceptClientTls(client, listener, credentials);
      const parts = { upstream, credentials, onBehalfOf: session };
      lease = await session.connect((target, signal) => openUpstream(target, parts, signal));
      await session.splice(client, lease.value);
    } catch (cause) {
      client.reset(); // an orderly end would look like an empty answer
      throw cause;
    } finally {
      lease?.[Symbol.dispose]();
    }
  };
  return { kind: "wire", serve, check: undefined };
}
