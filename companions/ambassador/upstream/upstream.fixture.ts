import type { Address } from "../../frame/address.ts";
import { createServer, type Server, type Socket } from "node:net";
import { type Clock, Scope, silentLogger, systemClock } from "@peapod/kit";
import type { UpstreamConfig } from "../config/config.ts";
import { AmbassadorError, type ErrorCode } from "../errors.ts";
import { dial, type Wire } from "../flow/wire.ts";
import { createUpstream, type UpstreamParts } from "./create-upstream.ts";
import type { Open, Target, Upstream, UpstreamEvent } from "./upstream.ts";

/** A signal that is never aborted. */
export const never = new AbortController().signal;

/** `db.test:5432` as the configuration has it. */
export function tcp(host: string, port = 5432): Address {
  return { kind: "tcp", host, port };
}

/** One endpoint, three tries with no pause between them, nothing else. */
export function configOf(changes: Partial<UpstreamConfig> = {}): UpstreamConfig {
  return {
    endpoints: [tcp("10.0.0.1")],
    strategy: "first-available",
    target: "any",
    tls: undefined,
    sendProxyProtocol: undefined,
    connectMs: 5_000,
    retry: { attempts: 3, backoffMs: 0, maxBackoffMs: 0 },
    healthCheck: undefined,
    ejection: undefined,
    circuitBreaker: undefined,
    resolveEveryMs: 30_000,
    keepAliveMs: undefined,
    ...changes,
  };
}

export interface UpstreamTest {
  readonly upstream: Upstream;
  readonly events: UpstreamEvent[];
  /** The addresses that were tried, in order. */
  readonly tried: string[];
  /** Connects with an `open` that fails at an address with the code that `codes` has for it, and gives the address it got to. */
  readonly connect: (options?: { signal?: AbortSignal; only?: string | Target }) => Promise<string>;
  /** What goes wrong at which IP address. */
  readonly codes: Map<string, ErrorCode>;
}

/** An upstream without a network: what `open` says is in a table. */
export function upstreamTest(config: Partial<UpstreamConfig>, parts: Partial<UpstreamParts> & { clock?: Clock } = {}): UpstreamTest {
  const events: UpstreamEvent[] = [];
  const tried: string[] = [];
  const codes = new Map<string, ErrorCode>();
  const upstream = createUpstream({
    check: undefined,
    clock: systemClock,
    log: silentLogger,
    random: () => 0,
    resolve: () => Promise.reject(new Error("no resolver in this test")),
    onEvent: (event) => events.push(event),
    ...parts,
    config: configOf(config),
  });
  const open: Open<string> = async ({ address, endpoint }) => {
    const host = address.kind === "tcp" ? address.host : address.path;
    tried.push(host);
    const code = codes.get(host);
    if (code !== undefined) throw new AmbassadorError(code, `${endpoint} said ${code}`);
    return await Promise.resolve(host);
  };
  return {
    upstream,
    events,
    tried,
    codes,
    connect: async (options = {}) => {
      using lease = await upstream.connect(open, { signal: never, ...options });
      return lease.value;
    },
  };
}

/** The plain `open`: a connection. */
export const openWire: Open<Wire> = async (target, signal) => await dial(target.address, { keepAliveMs: undefined }, signal);

/** A server on a free port of a loopback address; ended with the scope. */
export async function listen(
  scope: Scope,
  onConnection: (socket: Socket) => void = () => {},
  host = "127.0.0.1",
  port = 0,
): Promise<Address> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    onConnection(socket);
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
  scope.defer(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("A server without a port");
  return tcp(host, bound.port);
}

/** A port of a loopback address that nobody listens on. */
export async function refusedPort(): Promise<Address> {
  await using scope = new Scope();
  return await listen(scope);
}
