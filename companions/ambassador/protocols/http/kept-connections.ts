import type { Socket } from "node:net";

/** More than these are closed when their answer has ended. For one key. */
const MAX_KEPT = 64;

interface Kept {
  readonly socket: Socket;
  readonly sinceMs: number;
  readonly release: () => void;
}

/** Connections to upstreams that have answered and may be asked again. One that ends, says something unasked or waits too long is closed. */
export class KeptConnections implements Disposable {
  readonly #kept = new Map<string, Kept[]>();

  /** The one used last, if that was not longer ago than `maxIdleMs`; it is the caller's then. */
  take(key: string, maxIdleMs: number): Socket | undefined {
    const last = this.#kept.get(key)?.at(-1);
    if (last === undefined || performance.now() - last.sinceMs > maxIdleMs) return undefined;
    last.release();
    return last.socket;
  }

  /** Keeps a connection for `idleMs`, and makes sure of its end. */
  keep(key: string, socket: Socket, idleMs: number): void {
    const list = this.#kept.get(key) ?? [];
    if (socket.destroyed || !socket.writable || socket.readableEnded || list.length >= MAX_KEPT) {
      socket.destroy();
      return;
    }
    const drop = (): void => {
      release();
      socket.destroy();
    };
    const events = ["data", "end", "close", "timeout"] as const;
    const release = (): void => {
      for (const event of events) socket.off(event, drop);
      socket.setTimeout(0);
      const index = list.findIndex((kept) => kept.socket === socket);
      if (index >= 0) list.splice(index, 1);
      if (list.length === 0) this.#kept.delete(key);
    };
    for (const event of events) socket.on(event, drop);
    socket.setTimeout(idleMs);
    socket.resume(); // sees its end
    list.push({ socket, sinceMs: performance.now(), release });
    this.#kept.set(key, list);
  }

  /** Closes those of a key. */
  drop(key: string): void {
    for (;;) {
      const socket = this.take(key, Infinity);
      if (socket === undefined) return;
      socket.destroy();
    }
  }

  /** Closes those of every key that begins so. */
  dropAll(beginning: string): void {
    for (const key of this.#kept.keys()) if (key.startsWith(beginning)) this.drop(key); // a Map may lose the one it is at
  }

  [Symbol.dispose](): void {
    this.dropAll("");
  }
}
