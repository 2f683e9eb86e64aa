import type { SecretSource } from "../../../frame/credentials/secret.ts";
import type { Address } from "../../../frame/address.ts";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, type Server, type Socket } from "node:net";
import { createSecureContext } from "node:tls";
import { type Scope, silentLogger, type Logger } from "@peapod/kit";
import type { CommonListenerConfig, UpstreamTlsConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { AmbassadorError } from "../../errors.ts";
import { listen } from "../../flow/listen.ts";
import type { Ends } from "../../flow/proxy-protocol.ts";
import { splice } from "../../flow/splice.ts";
import type { Wire } from "../../flow/wire.ts";
import type { Target } from "../../upstream/upstream.ts";
import type { Protocol, Session } from "../protocol.ts";

/** What a listener has when nothing is said, for one upstream on a port of loopback. */
export function listenerTo(port: number, tls?: Partial<UpstreamTlsConfig>): CommonListenerConfig {
  return {
    name: "test",
    listen: { kind: "tcp", host: "127.0.0.1", port: 0 },
    socketMode: 0o660,
    acceptProxyProtocol: false,
    serverTls: undefined,
    handshakeMs: 1_000,
    limits: { connections: 10_000, queue: { length: 0, timeoutMs: 0 }, rate: undefined },
    upstream: {
      endpoints: [{ kind: "tcp", host: "localhost", port }],
      strategy: "first-available",
      target: "any",
      tls: tls === undefined ? undefined : upstreamTls(tls),
      sendProxyProtocol: undefined,
      connectMs: 2_000,
      retry: { attempts: 1, backoffMs: 10, maxBackoffMs: 10 },
      healthCheck: undefined,
      ejection: undefined,
      circuitBreaker: undefined,
      resolveEveryMs: 30_000,
      keepAliveMs: undefined,
    },
  };
}

function upstreamTls(given: Partial<UpstreamTlsConfig>): UpstreamTlsConfig {
  const unset = { caFile: undefined, certFile: undefined, keyFile: undefined, serverName: undefined };
  return { mode: "verify-full", ...unset, minVersion: "TLSv1.2", direct: false, ...given };
}

/** The target of the listener's only endpoint, with its name looked up. */
export function targetOf(listener: CommonListenerConfig): Target {
  const [endpoint] = listener.upstream.endpoints;
  if (endpoint === undefined) throw new Error("The listener has no endpoint");
  if (endpoint.kind === "unix") return { endpoint: `unix:${endpoint.path}`, address: endpoint, host: "localhost" };
  const address: Address = endpoint.host === "localhost" ? { ...endpoint, host: "127.0.0.1" } : endpoint;
  return { endpoint: `${endpoint.host}:${endpoint.port}`, address, host: endpoint.host };
}

/** Credentials that read their files each time. */
export const fileCredentials: Credentials = {
  secret: (source: SecretSource) => {
    const text = source.kind === "value" ? source.value : readFileSync(source.path, "utf8").replace(/\n$/, "");
    if (text === "") throw new AmbassadorError("CREDENTIAL_MISSING", "The file is empty");
    return { text, version: versionOf(text) };
  },
  upstreamContext: ({ caFile, certFile, keyFile, minVersion }) =>
    createSecureContext({
      minVersion,
      ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }),
      ...(certFile === undefined || keyFile === undefined ? {} : { cert: readFileSync(certFile), key: readFileSync(keyFile) }),
    }),
  serverContext: ({ certFile, keyFile, clientCaFile }) =>
    createSecureContext({
      cert: readFileSync(certFile),
      key: readFileSync(keyFile),
      ...(clientCaFile === undefined ? {} : { ca: readFileSync(clientCaFile) }),
    }),
  onChange: () => ({ [Symbol.dispose]: () => {} }),
};

function versionOf(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32BE(0);
}

/** A protocol behind a port, and what its sessions said. */
export interface Serving {
  readonly port: number;
  /** How each session ended, in order: undefined for a good end. */
  readonly outcomes: readonly unknown[];
  readonly used: readonly { readonly source: SecretSource; readonly version: number }[];
  readonly notes: readonly { readonly user?: string; readonly database?: string }[];
  /** Ends every session, as a drain's deadline does. */
  readonly end: AbortController;
}

/** Listens on a free port of loopback, and serves each connection with the protocol, against the listener's one endpoint. */
export async function startServing(
  protocol: Protocol,
  listener: CommonListenerConfig,
  options: { readonly scope: Scope; readonly log?: Logger },
): Promise<Serving> {
  if (protocol.kind !== "wire") throw new Error("Only for protocols of wires");
  const serving = {
    port: 0,
    outcomes: [] as unknown[],
    used: [] as Serving["used"][number][],
    notes: [] as object[],
    end: new AbortController(),
  };
  const clients = new Set<Wire>();
  const onConnection = (client: Wire, ends: Ends): void => {
    clients.add(client);
    const session = sessionFor(ends, { listener, serving, log: options.log ?? silentLogger });
    protocol.serve(client, session).then(
      () => serving.outcomes.push(undefined),
      (error: unknown) => serving.outcomes.push(error),
    );
  };
  const listening = await listen(listener, { kind: "wire", onConnection, onRefused: () => {} });
  options.scope.defer(async () => {
    await listening.close();
    for (const client of clients) client.destroy();
    await Promise.all([...clients].map((client) => client.closed));
  });
  if (listening.address.kind === "tcp") serving.port = listening.address.port;
  return serving;
}

function sessionFor(
  ends: Ends,
  {
    listener,
    serving,
    log,
  }: { listener: CommonListenerConfig; serving: { used: unknown[]; notes: object[]; end: AbortController }; log: Logger },
): Session {
  return {
    id: 1,
    log,
    client: ends.client,
    local: ends.local,
    draining: serving.end.signal,
    end: serving.end.signal,
    connect: async (open) => {
      const target = targetOf(listener);
      const timeout = AbortSignal.timeout(listener.upstream.connectMs);
      const role = listener.upstream.target;
      const wanted = role === "read-write" || role === "read-only" ? role : undefined;
      const value = await open(target, AbortSignal.any([serving.end.signal, timeout]), wanted);
      return { value, target, [Symbol.dispose]: () => {} };
    },
    used: (secrets) => serving.used.push(...secrets),
    note: (facts) => serving.notes.push(facts),
    splice: async (client, upstream, taps) => {
      await splice(client, upstream, { finish: serving.end.signal, ...taps }).done;
    },
    count: () => {},
  };
}

/** Connects, sends, half-closes, and gives all that comes back as text. */
export async function exchange(port: number, text: string): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.end(text);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer); // no encoding is set
  return Buffer.concat(chunks).toString();
}

/** Sends a line and gives the one that comes back; rejects where the connection ends before. */
export async function askLine(port: number, line: string): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.write(line);
  try {
    let text = "";
    for await (const chunk of socket) {
      text += String(chunk);
      if (text.endsWith("\n")) return text;
    }
    throw new Error(`Ended after ${JSON.stringify(text)}`);
  } finally {
    socket.destroy();
  }
}

/** Listens on a free port of loopback; everything ends with the scope. */
export async function listenOn(server: Server, scope: Scope): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  scope.defer(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port; // a TCP server's address is one
}
