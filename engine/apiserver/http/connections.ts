import type { Server } from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { anonymous, type User, userOf } from "./user.ts";

/** Of those that have shown a certificate of ours. */
const MOST_KNOWN = 1_024;
/**
 * Of all others: in their handshake, silent, or asking how the engine is. Any user of the machine can open them. More than the clients that
 * may come at one moment, each of which is a stranger until its handshake is done; some 40 KB each.
 */
const MOST_STRANGERS = 512;

/**
 * A server's open connections. Those that have not shown a certificate of its authority have a small budget of their own, from which
 * the oldest goes when one more comes: however many somebody opens, who has a certificate gets in.
 */
export class Connections {
  /** By the other side's address and port, the oldest first: what ties a TLS socket to the plain one below it. */
  readonly #strangers = new Map<string, Socket>();
  readonly #sockets = new Set<Socket>();
  readonly #users = new WeakMap<Socket, User>();

  constructor(server: Server) {
    server.maxConnections = MOST_KNOWN + MOST_STRANGERS + 1; // one more comes before the oldest goes
    server.on("connection", (socket: Socket) => this.#open(socket));
    server.on("secureConnection", (socket: TLSSocket) => this.#secured(socket));
  }

  /** Who is at the other end of a request's socket: somebody whose certificate is of the server's authority, or a stranger. */
  userOf(socket: Socket): User {
    return this.#users.get(socket) ?? anonymous;
  }

  /** Ends them all, also those that never finished a handshake, or became WebSockets. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(socket: Socket): void {
    const peer = peerOf(socket);
    this.#sockets.add(socket);
    this.#strangers.set(peer, socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      if (this.#strangers.get(peer) === socket) this.#strangers.delete(peer);
    });
    const [oldest] = this.#strangers.values();
    if (this.#strangers.size > MOST_STRANGERS) oldest?.destroy();
  }

  #secured(socket: TLSSocket): void {
    if (!socket.authorized) return;
    this.#users.set(socket, userOf(socket));
    this.#strangers.delete(peerOf(socket));
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
