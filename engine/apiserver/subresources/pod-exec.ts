import type { IncomingMessage } from "node:http";
import { badRequest, failure, serviceUnavailable, type Status } from "@peapod/api";
import { WebSocketServer } from "ws";
import { reportedStatus, StatusError } from "../errors.ts";
import type { Upgrade } from "../http/exchange.ts";
import type { ObjectRoute } from "../http/routes.ts";
import { CHANNEL_V4, CHANNEL_V5, refuseExec, runExec } from "./exec-channel.ts";
import { findContainer, refuseUnscheduled } from "./pod-container.ts";
import type { StreamGround } from "./stream.ts";

/** What the node said instead of starting the process. */
class Refusal {
  readonly status: Status;
  constructor(status: Status) {
    this.status = status;
  }
}

/** Bytes of one message of a client: upstream's clients send 32 KiB. */
const MESSAGE_LIMIT_BYTES = 4 * 1024 * 1024;

/** Answers an exec that asks for no WebSocket: SPDY, which clients try after a WebSocket failed, is not spoken. */
export function refusePlainExec(): never {
  throw new StatusError(
    failure(
      400,
      "BadRequest",
      `exec and cp need a WebSocket (${CHANNEL_V5} or ${CHANNEL_V4}), which kubectl speaks from 1.30 on: use a newer kubectl, or 1.29 with KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true`,
    ),
  );
}

/**
 * Answers `kubectl exec`: starts the process, then joins it to the WebSocket until it ends, the client is gone or the server stops.
 * What goes wrong before the process runs is answered as a Status instead of the upgrade.
 */
export async function handleExecUpgrade(ground: StreamGround, route: ObjectRoute, upgrade: Upgrade): Promise<void> {
  const { request, socket, head, query, signal, log } = upgrade;
  const { pod, ...container } = findContainer(
    ground.api,
    { name: route.name ?? "", ...(route.namespace === undefined ? {} : { namespace: route.namespace }) },
    query.text("container"),
  );
  refuseUnscheduled(pod);
  const command = query.list("command");
  if (command.length === 0) throw new StatusError(badRequest("you must specify at least 1 command to run"));
  if (ground.nodeServer === undefined)
    throw new StatusError(serviceUnavailable("this engine runs no node, so nothing can be run in a container"));

  const protocol = protocolOf(request); // last: a client that tries SPDY after a refused WebSocket hears the same reason
  const tty = query.flag("tty");
  const options = { command, tty, stdin: query.flag("stdin") };
  // The node's refusal goes through the WebSocket: after an answer that is no upgrade, clients try SPDY and show that failure.
  const started = await ground.nodeServer
    .exec(container, options, signal)
    .catch((cause: unknown) => new Refusal(reportedStatus(cause, upgrade)));
  if (!(started instanceof Refusal)) started.exitCode.catch(() => {}); // also where the upgrade fails, and nobody asks
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: MESSAGE_LIMIT_BYTES,
    perMessageDeflate: false,
    handleProtocols: () => protocol,
  });
  server.handleUpgrade(request, socket, head, (client) => {
    const use = { stdin: options.stdin, stdout: query.flag("stdout"), stderr: query.flag("stderr") && !tty };
    const isV5 = protocol === CHANNEL_V5;
    const done =
      started instanceof Refusal
        ? refuseExec(client, started.status)
        : runExec({ client, session: started, use, isV5, signal, statusOf: (cause) => reportedStatus(cause, upgrade) });
    done.catch((cause: unknown) => {
      if (!signal.aborted) log.error("exec failed", { pod: pod.metadata.name, error: cause });
      client.terminate();
    });
  });
}

function protocolOf(request: IncomingMessage): string {
  const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((protocol) => protocol.trim());
  const protocol = [CHANNEL_V5, CHANNEL_V4].find((known) => offered.includes(known));
  const isWebSocket = (request.headers.upgrade ?? "").toLowerCase() === "websocket";
  return isWebSocket && protocol !== undefined ? protocol : refusePlainExec();
}
