import { abortSignalOf } from "../../flow/cancel.ts";
import type { Socket } from "node:net";
import type { SecureContext } from "node:tls";
import type { HttpListenerConfig } from "../../config/config.ts";
import type { Credentials } from "../../credentials/credentials.ts";
import { Roster, type Rostered } from "../../flow/roster.ts";
import { formatAddress } from "../../../frame/address.ts";
import type { Open, Target } from "../../upstream/upstream.ts";
import { KeptConnections } from "./kept-connections.ts";
import { openSocket } from "./open-socket.ts";

/** A connection to an upstream, new or kept from an earlier request. It belongs to one request until `keep` or `destroy`. */
export interface UpstreamConnection {
  readonly socket: Socket;
  readonly isReused: boolean;
  /** For another request, after the answer to this one has ended. `keepAlive`: what the upstream says of it. */
  keep(keepAlive: string | undefined): void;
  destroy(): void;
}

/** An unused connection is closed after so long. One that the upstream closes first costs a request that cannot be repeated its answer. */
const KEEP_MS = 30_000;
/** A request that cannot be repeated takes a kept connection only when it was used a moment ago. */
const FRESH_MS = 1_000;

export interface Opener extends Disposable {
  /** Opens for one client: `owner` is set where the connection says for whom it is (PROXY protocol), and is then for nobody else. */
  open(options: {
    readonly mayUseKept: "any" | "fresh" | "none";
    readonly owner: string;
    readonly preamble: Uint8Array | undefined;
  }): Open<UpstreamConnection>;
  /** Breaks every connection to this target off, as its server's end would, and keeps none; gives how many were in use. Only where the health check may close connections. */
  lose(target: Target, error: Error): number;
  /** The client that owned connections has gone. */
  forget(owner: string): void;
}

/** Opens and keeps the connections of a listener. Those made with other certificates than the files now have are not used again. */
export function makeOpener(listener: Pick<HttpListenerConfig, "upstream">, credentials: Credentials): Opener {
  const { upstream } = listener;
  const { tls } = upstream;
  const kept = new KeptConnections();
  const ownedKeys = new Map<string, Set<string>>();
  const generations = new WeakMap<SecureContext, number>();
  let generation = 0;
  const generationOf = (): number => {
    if (tls === undefined || tls.mode === "disable") return 0;
    const context = credentials.upstreamContext(tls);
    if (!generations.has(context)) generations.set(context, ++generation);
    return generations.get(context) ?? 0;
  };
  const keyOf = (target: Target, owner: string): string => {
    const key = `${placeOf(target)}${generationOf()} ${owner}`;
    if (owner !== "") ownedKeys.set(owner, (ownedKeys.get(owner) ?? new Set()).add(key));
    return key;
  };
  const live = upstream.healthCheck?.closeConnections === true ? new Roster<Live>() : undefined;
  const follow = (socket: Socket, place: string): void => {
    const entry: Live = { slot: 0, socket, place };
    live?.add(entry);
    socket.once("close", () => live?.delete(entry));
  };
  const connectionOf = (socket: Socket, key: string, isReused: boolean): UpstreamConnection => ({
    socket,
    isReused,
    keep: (keepAlive) => kept.keep(key, socket, Math.min(KEEP_MS, hintMs(keepAlive))),
    destroy: () => socket.destroy(),
  });
  return {
    open:
      ({ mayUseKept, owner, preamble }) =>
      async (target, signal) => {
        const key = keyOf(target, owner);
        const old = mayUseKept === "none" ? undefined : kept.take(key, mayUseKept === "fresh" ? FRESH_MS : KEEP_MS);
        if (old !== undefined) return connectionOf(old, key, true);
        const socket = await openSocket(target, { upstream, credentials, preamble }, abortSignalOf(signal));
        if (live !== undefined) follow(socket, placeOf(target));
        return connectionOf(socket, key, false);
      },
    lose: (target, error) => {
      const place = placeOf(target);
      kept.dropAll(place);
      const inUse = [...(live ?? [])].filter((each) => each.place === place && !each.socket.destroyed);
      for (const { socket } of inUse) socket.destroy(error);
      return inUse.length;
    },
    forget: (owner) => {
      for (const key of ownedKeys.get(owner) ?? []) kept.drop(key);
      ownedKeys.delete(owner);
    },
    [Symbol.dispose]: () => kept[Symbol.dispose](),
  };
}

/** A connection, in use or kept, and where it goes. */
interface Live extends Rostered {
  readonly socket: Socket;
  readonly place: string;
}

/** What the keys of the connections to a target begin with. */
function placeOf({ endpoint, address }: Target): string {
  return `${endpoint} ${formatAddress(address)} `;
}

/** `Keep-Alive: timeout=5`: a second before that, so as not to meet the end on the way. */
function hintMs(keepAlive: string | undefined): number {
  const seconds = /(?:^|[\s,])timeout\s*=\s*"?(\d{1,6})/i.exec(keepAlive ?? "")?.[1];
  return seconds === undefined ? KEEP_MS : Math.max(1, Number(seconds) * 1000 - 1000);
}
