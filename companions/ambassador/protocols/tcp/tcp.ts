import type { TcpListenerConfig } from "../../config/config.ts";
import type { MakeProtocol } from "../protocol.ts";
import { forwarding } from "../tls/forwarding.ts";

/**
 * Bytes in, the same bytes out, whatever they mean. That something listens is all that a health check can ask, and the upstream's own check
 * asks it. A client whose upstream cannot be had sees its connection reset: there are no words to tell it.
 */
export const tcpProtocol: MakeProtocol<TcpListenerConfig> = (listener, { credentials }) => forwarding(listener, credentials);
