import type { Clock } from "@peapod/kit";
import type { NodeServer } from "../../kubelet/node-server.ts";
import type { Exchange, Upgrade } from "../http/exchange.ts";
import type { ObjectRoute } from "../http/routes.ts";
import type { ObjectApi } from "../verbs/object-api.ts";

/** What streams are answered from. */
export interface StreamGround {
  readonly api: ObjectApi;
  readonly clock: Clock;
  /** The node's logs and exec; without one they are refused. */
  readonly nodeServer?: NodeServer;
}

/** A subresource that takes and gives no objects. */
export interface Stream {
  answer(ground: StreamGround, route: ObjectRoute, exchange: Exchange): Promise<void>;
  /** Goes on with the connection in another protocol. */
  upgrade?(ground: StreamGround, route: ObjectRoute, upgrade: Upgrade): Promise<void>;
}
