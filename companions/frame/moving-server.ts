import type { Server } from "node:net";
import type { Logger } from "@peapod/kit";
import { type Address, formatAddress } from "./address.ts";
import { boundAddress, listenAt } from "./listen.ts";

export interface MovingServerParts<S extends Server> {
  /** Makes a server that does not listen yet. */
  readonly make: () => S;
  /** At a time; more are closed at once. */
  readonly maxConnections: number;
  /** Ends one. Default: it accepts no more, and its connections go on. */
  readonly close?: (server: S) => Promise<void> | void;
  readonly log: Logger;
  /** What it is, where it fails: `for the admin server`. */
  readonly purpose?: string;
}

/** Listens where the configuration says, and moves when that says so. */
export class MovingServer<S extends Server> implements AsyncDisposable {
  readonly #parts: MovingServerParts<S>;
  #server: S | undefined;
  #wanted = "";

  constructor(parts: MovingServerParts<S>) {
    this.#parts = parts;
  }

  /** Where it listens, with the port that was got; undefined: nowhere. */
  get address(): string | undefined {
    return this.#server === undefined ? undefined : boundAddress(this.#server);
  }

  /**
   * Listens there from now on, and no more where it did; undefined: nowhere. Gives whether it listens anew. Throws LISTEN_FAILED, and then stays
   * where it was.
   */
  async moveTo(address: Address | undefined): Promise<boolean> {
    const wanted = address === undefined ? "" : formatAddress(address);
    if (wanted === this.#wanted) return false;
    const { make, maxConnections, close, log, purpose } = this.#parts;
    const next = address === undefined ? undefined : Object.assign(make(), { maxConnections });
    if (address !== undefined && next !== undefined) await listenAt(next, address, purpose);
    next?.on("error", (error) => log.warn("server cannot accept a connection", { address: wanted, error })); // out of descriptors, or memory
    const previous = this.#server;
    this.#server = next;
    this.#wanted = wanted;
    if (previous !== undefined) await (close ?? ((server) => void server.close()))(previous);
    return next !== undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.moveTo(undefined);
  }
}
