import { formatAddress } from "../../frame/address.ts";
import type { Socket } from "node:net";
import { abortAfter, type Clock, contain, type LogFields, type Logger } from "@peapod/kit";
import type { ListenerConfig } from "../config/config.ts";
import type { Credentials } from "../credentials/credentials.ts";
import { AmbassadorError } from "../errors.ts";
import type { Ends } from "../flow/proxy-protocol.ts";
import { Roster } from "../flow/roster.ts";
import { Wire } from "../flow/wire.ts";
import type { Protocol, RequestFact } from "../protocols/protocol.ts";
import { createUpstream } from "../upstream/create-upstream.ts";
import { Gate } from "../upstream/gate.ts";
import type { Resolve } from "../upstream/names.ts";
import type { Target, Upstream } from "../upstream/upstream.ts";
import { Connection, type ConnectionParts, failureCode } from "./connection.ts";
import { accessFields } from "./access-log.ts";
import { KernelPath } from "./kernel-path.ts";
import { makeProtocol } from "./make-protocol.ts";
import type { ListenerMetrics } from "./metrics.ts";

/** After `end`, a connection's protocol may take so long to find a point that loses nothing. */
const END_GRACE_MS = 1_000;

/** What a listener is made with. */
export interface ListenerParts {
  readonly credentials: Credentials;
  readonly log: Logger;
  readonly clock: Clock;
  /** One for the process. */
  readonly resolve: Resolve;
  readonly metrics: ListenerMetrics;
  /** Whether each connection's end is logged, or only those that failed. */
  readonly logsAccess: () => boolean;
  readonly nextId: () => number;
  /** Of the listener of the same name before the configuration changed. */
  readonly heritage: Heritage | undefined;
}

/** What a listener leaves to the one that takes over from it. */
interface Heritage {
  readonly protocol: unknown;
  /** Its connections that live on have their places in the limits. */
  readonly gate: Gate;
}

/**
 * What one listener of the configuration does with its connections: gate, session, protocol, log. The listening socket is a door's, so that
 * a changed listener can take it over. States: serving; retired (no new connections, those it has go on); closed (none left).
 */
export class Listener {
  readonly config: ListenerConfig;
  readonly protocol: Protocol;
  readonly upstream: Upstream;
  readonly connections = new Roster<Connection>();
  readonly #gate: Gate;
  readonly #connectionParts: ConnectionParts;
  readonly #parts: ListenerParts;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #draining = new AbortController();
  #waiting: (() => void)[] = [];
  #kernel: KernelPath | undefined;
  #run: Promise<void> | undefined;

  /** Throws CONFIG_INVALID for what the protocol cannot serve. */
  constructor(config: ListenerConfig, parts: ListenerParts) {
    this.config = config;
    const { clock, resolve } = parts;
    this.#parts = parts;
    this.#log = parts.log.with({ listener: config.name });
    this.protocol = makeProtocol(config, { credentials: parts.credentials, log: this.#log, heritage: parts.heritage?.protocol });
    this.upstream = createUpstream({
      config: config.upstream,
      check: this.protocol.check,
      clock,
      log: this.#log,
      resolve,
      onEvent: (event) => {
        parts.metrics.onUpstreamEvent(event);
        if (event.kind === "lost") this.#lose(event.target);
      },
    });
    const isByRequest = config.protocol === "http"; // its rate is of requests, not of connections
    this.#gate = new Gate(isByRequest ? { ...config.limits, rate: undefined } : config.limits, {
      clock,
      before: parts.heritage?.gate,
    });
    const requests = new Gate({ ...config.limits, connections: 1 }, { clock });
    this.#connectionParts = {
      log: this.#log,
      draining: this.#draining.signal,
      upstream: this.upstream,
      gate: this.#gate,
      hasLogin: "login" in config || config.upstream.tls !== undefined,
      isDialogue: "login" in config,
      metrics: parts.metrics,
      admit: () => admit(requests),
      onRequest: (connection, fact) => this.#tellRequest(connection, fact),
    };
  }

  /** Clients' connections now, those that the kernel forwards included. */
  get open(): number {
    return this.connections.size + (this.#kernel?.open ?? 0);
  }

  /** For the listener that takes over from this one. */
  get heritage(): Heritage {
    return { protocol: this.protocol.kind === "wire" ? this.protocol.heritage : undefined, gate: this.#gate };
  }

  get isInKernel(): boolean {
    return this.#kernel !== undefined;
  }

  get queued(): number {
    return this.#gate.queued;
  }

  /** Begins the upstream's health checks and look-ups; they end with `close`. A failure of theirs is a bug, and given to `onBug`. */
  start(onBug: (error: unknown) => void): void {
    const { signal } = this.#stop;
    this.#run = this.upstream.run(signal).catch((cause: unknown) => {
      if (!signal.aborted) onBug(cause);
    });
  }

  /** Has the kernel forward new connections, where it is configured so. The listener's door must be open. Throws CONFIG_INVALID or LISTEN_FAILED. */
  async enterKernel(): Promise<void> {
    const { config, upstream } = this;
    if (config.protocol !== "tcp" || config.datapath !== "kernel") return;
    const { metrics, clock } = this.#parts;
    this.#kernel = await KernelPath.start({ config, upstream, metrics, log: this.#log, clock }, this.#stop.signal);
  }

  /** Leaves the kernel's rules to a listener of the same name, which replaces them at once: connections that they forward go on. */
  async handKernelOver(): Promise<void> {
    await this.#kernel?.handOver();
    this.#kernel = undefined;
  }

  /** Brings the counts of live connections up to now. */
  async report(): Promise<void> {
    for (const connection of this.connections) connection.reportBytes();
    await this.#kernel?.report();
  }

  /** Takes a client that has connected. Never throws. */
  readonly accept: (transport: Wire | Socket, ends: Ends) => void = contain(
    (transport, ends) => {
      const { metrics, nextId } = this.#parts;
      metrics.addConnection();
      const connection = new Connection(nextId(), transport, ends, this.#connectionParts);
      this.connections.add(connection);
      return this.#serve(connection, transport);
    },
    (cause, transport) => {
      transport.destroy();
      this.#bug({}, cause);
    },
  );

  /** Counts and logs a client that was turned away before it came in. */
  refused(error: unknown): void {
    this.#parts.metrics.addConnection();
    if (!(error instanceof AmbassadorError)) return this.#bug({}, error);
    this.#parts.metrics.addFailure(error.code);
    this.#log[error.code === "CLIENT_GONE" ? "debug" : "warn"]("connection refused", { code: error.code, error: error.message });
  }

  /** No new work: what runs goes on, and so does, where another listener takes over, whoever waits for a place. */
  retire(options: { readonly isLast: boolean } = { isLast: true }): void {
    if (options.isLast) this.#gate.close();
    this.#draining.abort();
    void this.#kernel?.leave();
  }

  /** Resolves when no connection is left, or the signal is aborted. */
  async untilEmpty(signal: AbortSignal): Promise<void> {
    await this.#kernel?.untilEmpty(signal);
    if (this.connections.size === 0 || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = (): void => resolve();
    this.#waiting.push(done);
    signal.addEventListener("abort", done, { once: true });
    await promise;
    signal.removeEventListener("abort", done);
  }

  /** Ends every connection at its next pause, or when the grace is over or the signal aborted, in the middle of whatever goes on. */
  async finish(hurry: AbortSignal): Promise<void> {
    this.retire();
    for (const connection of this.connections) connection.finish();
    await this.untilEmpty(AbortSignal.any([hurry, abortAfter(END_GRACE_MS)]));
  }

  /** Ends what is left at once; stops the upstream's checks. Safe to repeat. */
  async close(): Promise<void> {
    this.retire();
    await this.#kernel?.close();
    this.#kernel = undefined;
    for (const connection of this.connections) connection.destroy();
    await this.untilEmpty(abortAfter(END_GRACE_MS));
    if (this.connections.size > 0) this.#log.error("connections did not end", { connections: this.connections.size });
    this.#stop.abort();
    await this.#run;
    this.protocol.dispose?.();
  }

  async #serve(connection: Connection, transport: Wire | Socket): Promise<void> {
    let failure: unknown;
    try {
      if (this.protocol.kind === "wire" && transport instanceof Wire) await this.protocol.serve(transport, connection);
      else if (this.protocol.kind === "socket" && !(transport instanceof Wire)) await this.protocol.serve(transport, connection);
      else throw new Error("A connection came in the other shape than its protocol serves");
    } catch (cause) {
      failure = cause;
      transport.destroy();
    }
    connection.reportBytes();
    connection.leave();
    this.connections.delete(connection);
    if (this.connections.size === 0) for (const done of this.#waiting.splice(0)) done();
    this.#tell(connection, failure);
  }

  /** Ends the connections at an address whose server will not go on with them. */
  #lose(target: Target): void {
    const error = Object.assign(new Error(`The upstream ${target.endpoint} is down`), { code: "EHOSTDOWN" });
    let lost = this.protocol.kind === "socket" ? (this.protocol.lose?.(target, error) ?? 0) : 0;
    for (const connection of this.connections) if (connection.lose(target, error)) lost += 1;
    if (lost === 0) return;
    const { endpoint, address } = target;
    this.#log.warn("connections are ended with their endpoint", { endpoint, address: formatAddress(address), connections: lost });
  }

  #tell(connection: Connection, failure: unknown): void {
    const code = failure === undefined ? undefined : failureCode(failure, connection.end);
    if (code === "INTERNAL") return this.#bug(accessFields(connection), failure);
    if (code !== undefined) this.#parts.metrics.addFailure(code);
    if (code !== undefined && (code !== "CLIENT_GONE" || this.#parts.logsAccess()))
      return this.#log.warn("connection failed", { ...accessFields(connection), code, error: withCause(failure) });
    const level = this.config.protocol === "http" ? "debug" : "info"; // its requests have lines of their own
    if (this.#parts.logsAccess()) this.#log[level]("connection ended", accessFields(connection));
  }

  #bug(fields: LogFields, error: unknown): void {
    this.#parts.metrics.addFailure("INTERNAL");
    this.#log.error("connection met a bug", { ...fields, code: "INTERNAL", error });
  }

  #tellRequest(connection: Connection, fact: RequestFact): void {
    const { metrics, logsAccess } = this.#parts;
    metrics.addRequest(fact.status, fact.durationMs / 1000);
    if (fact.code !== undefined) metrics.addFailure(fact.code);
    const isFailure = fact.code !== undefined && fact.code !== "CLIENT_GONE";
    if (!isFailure && !logsAccess()) return;
    const fields = { connection: connection.id, ...fact, durationMs: Math.round(fact.durationMs * 1000) / 1000 };
    if (isFailure) this.#log.warn("request failed", fields);
    else this.#log.info("request ended", fields);
  }
}

/** A place that is given back at once: only the rate of them counts. */
function admit(requests: Gate): void {
  const place = requests.tryEnter();
  if (place === undefined) throw new AmbassadorError("RATE_LIMITED", "More requests than the configuration allows");
  place[Symbol.dispose]();
}

/** The sentence of an error and that of what caused it, if it is another one; without a stack: this is the client's or the upstream's trouble, not ours. */
function withCause(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, cause } = error;
  return cause instanceof Error && !message.includes(cause.message) ? `${message} (${cause.message})` : message;
}
