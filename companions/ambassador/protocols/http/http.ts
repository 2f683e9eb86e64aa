import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { contain, startInterval, type Timer } from "@peapod/kit";
import type { HttpListenerConfig } from "../../config/config.ts";
import { AmbassadorError } from "../../errors.ts";
import { makeProxyHeader } from "../../flow/proxy-protocol.ts";
import type { Target } from "../../upstream/upstream.ts";
import type { MakeProtocol, Protocol, Session } from "../protocol.ts";
import { acceptTls } from "./accept-tls.ts";
import { makeCheck } from "./check.ts";
import { ClientConnection, type Times } from "./client-connection.ts";
import type { ExchangeParts } from "./exchange.ts";
import { isFieldValue } from "./fields.ts";
import { makeInjection } from "./injection.ts";
import { upgradeOf } from "./request-head.ts";
import { MAX_HEAD_BYTES } from "./send.ts";
import { makeHostOf } from "./sent-fields.ts";
import { makeOpener } from "./upstream-connection.ts";

/**
 * HTTP/1.1 on both sides, streamed, with the configured credentials in place of the application's. One request at a time on each client's
 * connection; upstream connections are kept and shared. No field tells the upstream of the ambassador: it sees an ordinary client.
 */
export const httpProtocol: MakeProtocol<HttpListenerConfig> = (listener, { credentials, log }) => {
  const { hostHeader } = listener;
  if (typeof hostHeader === "object" && !isFieldValue(hostHeader.value))
    throw new AmbassadorError("CONFIG_INVALID", `Listener "${listener.name}": the hostHeader cannot be sent`);
  const injection = makeInjection(listener, credentials, { log });
  const opener = makeOpener(listener, credentials);
  const hostOf = makeHostOf(listener);
  const { sendProxyProtocol: version } = listener.upstream;
  const preambleOf =
    version === undefined ? undefined : ({ client, local }: Session): Uint8Array => makeProxyHeader(version, { client, local });
  const parts: ExchangeParts = { injection, opener, hostOf, preambleOf };
  const connections = new Map<Duplex, ClientConnection>();
  const server = makeServer(connections);
  const watcher = makeWatcher(connections, listener);

  const serve = async (accepted: Socket, session: Session): Promise<void> => {
    const socket = await acceptTls(accepted, listener, credentials);
    const connection = new ClientConnection(socket, session, parts);
    connections.set(socket, connection);
    watcher.start();
    server.emit("connection", socket);
    socket.resume(); // it was accepted paused
    try {
      await connection.untilEnded();
    } finally {
      connections.delete(socket);
      opener.forget(`${session.id}`);
    }
  };
  const check = makeCheck(listener.upstream, { credentials, injection, hostOf });
  const dispose = (): void => {
    watcher.stop();
    opener[Symbol.dispose]();
  };
  const lose = (target: Target, error: Error): number => opener.lose(target, error);
  return { kind: "socket", serve, check, lose, dispose } satisfies Protocol;
};

/** node:http's parser and writer for sockets that others have accepted. It never listens, so its own timeouts do not run: see `makeWatcher`. */
function makeServer(connections: ReadonlyMap<Duplex, ClientConnection>): Server {
  const server = createServer({
    maxHeaderSize: MAX_HEAD_BYTES,
    insecureHTTPParser: false,
    requireHostHeader: false, // refused with a reason by planRequest
    keepAliveTimeout: 0,
    noDelay: true,
    shouldUpgradeCallback: (request) => asksToUpgrade(request),
  });
  server.maxHeadersCount = 0; // as many as the size allows: node:http would drop the others without a word
  const onBug = (cause: unknown, socket: Duplex): void => connections.get(socket)?.breakOff(cause);
  for (const event of ["request", "checkContinue", "checkExpectation"] as const)
    server.on(
      event,
      contain(
        (request, response) => connections.get(request.socket)?.serve(request, response),
        (cause, request) => onBug(cause, request.socket),
      ),
    );
  for (const event of ["upgrade", "connect"] as const)
    server.on(
      event,
      contain(
        (request, socket, head) => connections.get(socket)?.serveDetached(request, head),
        (cause, _request, socket) => onBug(cause, socket),
      ),
    );
  server.on(
    "clientError",
    contain(
      (error, socket) => connections.get(socket)?.malformed(error),
      (cause, _error, socket) => onBug(cause, socket),
    ),
  );
  return server;
}

function asksToUpgrade({ method = "", url = "", httpVersion, rawHeaders }: IncomingMessage): boolean {
  try {
    return upgradeOf({ method, url, httpVersion, rawHeaders }) !== undefined;
  } catch {
    return false; // refused, with the reason, as an ordinary request
  }
}

/** Looks at all connections every now and then, while there are any: cheaper than a timer for each. */
function makeWatcher(connections: ReadonlyMap<Duplex, ClientConnection>, times: Times): { start(): void; stop(): void } {
  const everyMs = Math.min(1_000, Math.max(10, Math.min(times.handshakeMs, times.idleMs) / 4));
  let timer: Timer | undefined;
  const stop = (): void => {
    timer?.[Symbol.dispose]();
    timer = undefined;
  };
  const watch = contain(
    (connection: ClientConnection, nowMs: number) => connection.watch(nowMs, times),
    (cause, connection) => connection.breakOff(cause),
  );
  const look = (): void => {
    if (connections.size === 0) stop();
    const nowMs = performance.now();
    for (const connection of connections.values()) watch(connection, nowMs);
  };
  return { start: () => (timer ??= startInterval(look, everyMs)), stop };
}
