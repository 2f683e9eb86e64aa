import type { Socket } from "node:net";
import { isAbort, type Logger } from "@peapod/kit";
import type { SecretSource } from "../../frame/credentials/secret.ts";
import { AmbassadorError } from "../errors.ts";
import { Cancel } from "../flow/cancel.ts";
import type { Ends, Peer } from "../flow/proxy-protocol.ts";
import type { Rostered } from "../flow/roster.ts";
import { type Splice, splice, type SpliceResult, type Splicing } from "../flow/splice.ts";
import { Wire, WireEnded } from "../flow/wire.ts";
import type { RequestFact, Session } from "../protocols/protocol.ts";
import type { Gate } from "../upstream/gate.ts";
import type { ConnectOptions, Lease, Open, Target, Upstream } from "../upstream/upstream.ts";
import type { ListenerMetrics } from "./metrics.ts";

/** What a connection has of the listener that it came through. */
export interface ConnectionParts {
  readonly log: Logger;
  readonly draining: AbortSignal;
  readonly upstream: Upstream;
  readonly gate: Gate;
  /** Whether anything is said to the upstream before it is ready: TLS, a login. */
  readonly hasLogin: boolean;
  /** Whether the application always waits for an answer before it has done: one that sends no more while it waits has gone, then. */
  readonly isDialogue: boolean;
  readonly metrics: ListenerMetrics;
  /** Takes a request from the listener's rate. Throws RATE_LIMITED. */
  readonly admit: () => void;
  readonly onRequest: (connection: Connection, fact: RequestFact) => void;
}

/** Who ended a connection. */
export type EndedBy = "client" | "upstream" | "ambassador";

/** One connection of a client, from its acceptance to its end: the session that its protocol works with, and what is told of it. */
export class Connection implements Session, Rostered {
  readonly id: number;
  slot = 0;
  readonly client: Peer;
  readonly local: Peer;
  readonly draining: AbortSignal;
  readonly startedMs = performance.now();
  user: string | undefined;
  database: string | undefined;
  endpoint: string | undefined;
  connectMs: number | undefined;
  loginMs: number | undefined;
  endedBy: EndedBy | undefined;
  /** What broke it off: `ECONNRESET` and its like. */
  resetBy: string | undefined;
  secrets: readonly { readonly source: SecretSource; readonly version: number }[] = [];

  readonly #transport: Wire | Socket;
  readonly #parts: ConnectionParts;
  readonly #end = new Cancel();
  /** In the limits. Who is refused at the door comes in all the same, and hears of it from `connect`, so that the protocol finds the words. */
  #place: Disposable | undefined;
  #log: Logger | undefined;
  #spliced: Wire | undefined;
  #splicing: Splicing | undefined;
  /** Where it goes, once it is logged in there. */
  #target: Target | undefined;
  #lostBy: Error | undefined;
  #countedFromClient = 0;
  #countedToClient = 0;
  #reportedFromClient = 0;
  #reportedToClient = 0;

  constructor(id: number, transport: Wire | Socket, ends: Ends, parts: ConnectionParts) {
    this.id = id;
    this.#transport = transport;
    this.client = ends.client;
    this.local = ends.local;
    this.draining = parts.draining;
    this.#parts = parts;
    this.#place = parts.gate.tryEnter();
  }

  get log(): Logger {
    return (this.#log ??= this.#parts.log.with({ connection: this.id }));
  }

  get end(): AbortSignal {
    return this.#end.signal;
  }

  /** Bytes from the client. Those of a connection that is spliced are the wire's own counts, so that a piece costs nothing. */
  get bytesFromClient(): number {
    return this.#countedFromClient + (this.#spliced?.bytesRead ?? 0);
  }

  /** Bytes to the client, likewise. */
  get bytesToClient(): number {
    return this.#countedToClient + (this.#spliced?.bytesWritten ?? 0);
  }

  /** Adds to the metric what came since the last time: at a scrape, and at the end. */
  reportBytes(): void {
    const { bytesFromClient, bytesToClient } = this;
    const { metrics } = this.#parts;
    if (bytesFromClient > this.#reportedFromClient) metrics.addFromClientBytes(bytesFromClient - this.#reportedFromClient);
    if (bytesToClient > this.#reportedToClient) metrics.addToClientBytes(bytesToClient - this.#reportedToClient);
    this.#reportedFromClient = Math.max(bytesFromClient, this.#reportedFromClient);
    this.#reportedToClient = Math.max(bytesToClient, this.#reportedToClient);
  }

  async connect<T>(open: Open<T>, options: ConnectOptions = {}): Promise<Lease<T>> {
    if (options.only === undefined) this.#place ??= await this.#enter(); // who is in may cancel, though all places are taken
    let openedMs = 0;
    let connectedMs = 0;
    const timed: Open<T> = (target, signal, wanted) => {
      openedMs = performance.now();
      connectedMs = 0;
      const { endpoint, address, host } = target;
      this.endpoint = endpoint;
      const watched: Target = { endpoint, address, host, onConnected: () => (connectedMs = performance.now()) };
      return open(watched, signal, wanted);
    };
    const lease = await this.#parts.upstream.connect(timed, { ...options, signal: this.#end });
    const doneMs = performance.now();
    this.endpoint = lease.target.endpoint;
    this.#target = lease.target;
    const { metrics } = this.#parts;
    if (connectedMs === 0) return lease; // one that was kept
    this.connectMs = connectedMs - openedMs;
    metrics.observeConnect(this.connectMs / 1000);
    if (this.#parts.hasLogin) {
      this.loginMs = doneMs - connectedMs;
      metrics.observeLogin(this.loginMs / 1000);
    }
    return lease;
  }

  /** Waits in line for as long as the client does: the line is short, and who has gone would keep others out of it. */
  async #enter(): Promise<Disposable> {
    const gone = new AbortController();
    const leave = (): void => gone.abort(new AmbassadorError("CLIENT_GONE", "The client went away while it waited in line"));
    const stay = whenGone(this.#transport, leave, { atEnd: this.#parts.isDialogue });
    try {
      return await this.#parts.gate.enter(AbortSignal.any([this.end, gone.signal]));
    } finally {
      stay();
    }
  }

  used(secrets: readonly { readonly source: SecretSource; readonly version: number }[]): void {
    this.secrets = secrets;
  }

  note(facts: { readonly user?: string; readonly database?: string }): void {
    this.user = facts.user ?? this.user;
    this.database = facts.database ?? this.database;
  }

  splice(client: Wire, upstream: Wire, options: Splice = {}): Promise<void> {
    this.#spliced = client;
    const splicing = splice(client, upstream, options);
    this.#splicing = splicing;
    if (this.#lostBy !== undefined) splicing.break("upstream", this.#lostBy);
    else if (this.#end.aborted) splicing.finish();
    return splicing.done.then(this.#ended);
  }

  readonly #ended = ({ endedBy, errorCode }: SpliceResult): void => {
    this.endedBy ??= endedBy;
    this.resetBy = errorCode;
  };

  count(fromClientBytes: number, toClientBytes: number): void {
    this.#countedFromClient += fromClientBytes;
    this.#countedToClient += toClientBytes;
  }

  admit(): void {
    this.#parts.admit();
  }

  request(fact: RequestFact): void {
    this.#parts.onRequest(this, fact);
  }

  /** Gives its place to another, once it has ended. */
  leave(): void {
    this.#place?.[Symbol.dispose]();
    this.#place = undefined;
  }

  /** Asks the protocol to end at its next pause. Safe to repeat. */
  finish(): void {
    if (this.#end.aborted) return;
    this.endedBy ??= "ambassador";
    this.#end.abort(new AmbassadorError("DRAINING", "The ambassador ends this connection"));
    this.#splicing?.finish();
  }

  /**
   * Breaks it off with the error if it goes to this target, and tells whether it did. One that has not logged in there yet is left alone; so is
   * one with many requests, whose protocol has the connections to upstreams.
   */
  lose(target: Target, error: Error): boolean {
    if (this.#target !== target || this.#lostBy !== undefined || !(this.#transport instanceof Wire)) return false;
    this.#lostBy = error;
    this.#splicing?.break("upstream", error);
    return true;
  }

  /** Ends it in the middle of whatever goes on. */
  destroy(): void {
    this.finish();
    this.#transport.destroy();
  }
}

/** What the metric of failures and the access log say of an error that `serve` threw; undefined for the echo of an end that was asked for. */
export function failureCode(error: unknown, end: AbortSignal): string | undefined {
  if (error instanceof AmbassadorError) return end.aborted && error === end.reason ? undefined : error.code;
  if (isAbort(error, end)) return undefined;
  if (error instanceof WireEnded) return "CLIENT_GONE";
  return "INTERNAL";
}

function whenGone(transport: Wire | Socket, hear: () => void, options: { readonly atEnd: boolean }): () => void {
  if (transport instanceof Wire) return transport.whenGone(hear, options);
  const events = options.atEnd ? (["close", "end"] as const) : (["close"] as const);
  for (const event of events) transport.once(event, hear);
  if (transport.destroyed) hear();
  return () => {
    for (const event of events) transport.off(event, hear);
  };
}
