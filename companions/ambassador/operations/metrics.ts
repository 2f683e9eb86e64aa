import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { UpstreamEvent } from "../upstream/upstream.ts";

/** From a local socket to a database on another continent that is busy. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What one listener's connections add to; bound to its name once, so that a connection costs no look-up. */
export interface ListenerMetrics {
  /** One, or as many as the kernel has counted. */
  addConnection(count?: number): void;
  addFailure(code: string, count?: number): void;
  addFromClientBytes(bytes: number): void;
  addToClientBytes(bytes: number): void;
  observeConnect(seconds: number): void;
  observeLogin(seconds: number): void;
  /** One request of a protocol that has them. */
  addRequest(status: number, seconds: number): void;
  /** A failed try, a health check, an ejection. */
  onUpstreamEvent(event: UpstreamEvent): void;
}

/** What is asked for at each scrape. */
export interface Readings {
  readonly listeners: readonly {
    readonly name: string;
    readonly isReady: boolean;
    readonly connections: number;
    readonly queued: number;
    readonly endpoints: readonly {
      readonly endpoint: string;
      readonly isUp: boolean;
      readonly isEjected: boolean;
      readonly role: string | undefined;
      readonly connections: number;
    }[];
  }[];
}

/** The ambassador's own metrics, in the registry of its program. */
export class Metrics {
  readonly #registry: Registry;
  readonly #connections;
  readonly #failures;
  readonly #bytes;
  readonly #connect;
  readonly #login;
  readonly #requests;
  readonly #requestSeconds;
  readonly #tries;
  readonly #checks;
  readonly #ejections;
  /** What connections count, until the next scrape, by listener. */
  readonly #tallies = new Map<string, Tally>();

  constructor(registry: Registry) {
    this.#registry = registry;
    const registers = [this.#registry];
    const labelNames = ["listener"] as const;
    this.#connections = new Counter({
      name: "ambassador_connections_total",
      help: "Connections of clients, counted when they were accepted",
      labelNames,
      registers,
    });
    this.#failures = new Counter({
      name: "ambassador_failures_total",
      help: "Connections that failed, by error code",
      labelNames: ["listener", "code"],
      registers,
    });
    this.#bytes = new Counter({
      name: "ambassador_bytes_total",
      help: "Bytes from and to clients; those of live connections are counted at the scrape",
      labelNames: ["listener", "direction"],
      registers,
    });
    this.#connect = new Histogram({
      name: "ambassador_connect_seconds",
      help: "Time until an upstream connection stood, of the try that succeeded",
      labelNames,
      registers,
      buckets: SECONDS,
    });
    this.#login = new Histogram({
      name: "ambassador_login_seconds",
      help: "Time from there until the upstream was ready for the client: TLS and login",
      labelNames,
      registers,
      buckets: SECONDS,
    });
    this.#requests = new Counter({
      name: "ambassador_requests_total",
      help: "Requests of http listeners, by the status that the client was told",
      labelNames: ["listener", "status"],
      registers,
    });
    this.#requestSeconds = new Histogram({
      name: "ambassador_request_seconds",
      help: "From a request's head to the end of its answer, of http listeners",
      labelNames,
      registers,
      buckets: SECONDS,
    });
    const ofEndpoint = ["listener", "endpoint"] as const;
    this.#tries = new Counter({
      name: "ambassador_upstream_try_failures_total",
      help: "Failed tries to connect or log in, by error code; another try may have succeeded. Of http listeners 502, 503 and 504 too",
      labelNames: [...ofEndpoint, "code"],
      registers,
    });
    this.#checks = new Counter({
      name: "ambassador_health_checks_total",
      help: "Health checks, by result",
      labelNames: [...ofEndpoint, "result"],
      registers,
    });
    this.#ejections = new Counter({
      name: "ambassador_ejections_total",
      help: "How often an endpoint was left out because of its failures",
      labelNames: ofEndpoint,
      registers,
    });
  }

  forListener(listener: string): ListenerMetrics {
    const tally = this.#tallies.get(listener) ?? { connections: 0, fromClientBytes: 0, toClientBytes: 0 };
    this.#tallies.set(listener, tally);
    const connect = this.#connect.labels({ listener });
    const login = this.#login.labels({ listener });
    return {
      addConnection: (count = 1) => void (tally.connections += count),
      addFailure: (code, count = 1) => this.#failures.inc({ listener, code }, count),
      addFromClientBytes: (bytes) => void (tally.fromClientBytes += bytes),
      addToClientBytes: (bytes) => void (tally.toClientBytes += bytes),
      observeConnect: (seconds) => connect.observe(seconds),
      observeLogin: (seconds) => login.observe(seconds),
      addRequest: (status, seconds) => {
        this.#requests.inc({ listener, status });
        this.#requestSeconds.observe({ listener }, seconds);
      },
      onUpstreamEvent: (event) => {
        if (event.kind === "try-failed") this.#tries.inc({ listener, endpoint: event.endpoint, code: event.code });
        else if (event.kind === "check")
          this.#checks.inc({ listener, endpoint: event.endpoint, result: event.code === undefined ? "passed" : "failed" });
        else if (event.kind === "ejected") this.#ejections.inc({ listener, endpoint: event.endpoint });
      },
    };
  }

  /** Adds the gauges that are read from the ambassador at each scrape. */
  readFrom(read: () => Readings): void {
    const registers = [this.#registry];
    const gauge = (name: string, help: string, labelNames: readonly string[], set: (gauge: Gauge, readings: Readings) => void): void => {
      new Gauge({
        name,
        help,
        labelNames: [...labelNames],
        registers,
        collect() {
          this.reset();
          set(this, read());
        },
      });
    };
    const ofListener = (name: string, help: string, value: (one: Readings["listeners"][number]) => number): void =>
      gauge(name, help, ["listener"], (each, { listeners }) => {
        for (const one of listeners) each.set({ listener: one.name }, value(one));
      });
    const ofEndpoint = (name: string, help: string, value: (one: Readings["listeners"][number]["endpoints"][number]) => number): void =>
      gauge(name, help, ["listener", "endpoint"], (each, { listeners }) => {
        for (const { name: listener, endpoints } of listeners)
          for (const one of endpoints) each.set({ listener, endpoint: one.endpoint }, value(one));
      });
    ofListener("ambassador_listener_ready", "1 if the listener accepts and has an endpoint to try", (one) => Number(one.isReady));
    ofListener("ambassador_connections_active", "Connections of clients now", (one) => one.connections);
    ofListener("ambassador_queue_length", "Clients that wait for a place", (one) => one.queued);
    ofEndpoint("ambassador_endpoint_up", "1 if connections may go there", (one) => Number(one.isUp));
    ofEndpoint("ambassador_endpoint_ejected", "1 while it is left out because of its failures", (one) => Number(one.isEjected));
    ofEndpoint("ambassador_endpoint_primary", "1 if the last look found it to be read-write", (one) => Number(one.role === "read-write"));
    ofEndpoint("ambassador_endpoint_connections", "Connections there now", (one) => one.connections);
  }

  /** Puts what connections have counted into the metrics: before each scrape. */
  report(): void {
    for (const [listener, tally] of this.#tallies) this.#count(listener, tally);
  }

  #count(listener: string, tally: Tally): void {
    this.#connections.inc({ listener }, tally.connections);
    this.#bytes.inc({ listener, direction: "from_client" }, tally.fromClientBytes);
    this.#bytes.inc({ listener, direction: "to_client" }, tally.toClientBytes);
    Object.assign(tally, { connections: 0, fromClientBytes: 0, toClientBytes: 0 } satisfies Tally);
  }
}

interface Tally {
  connections: number;
  fromClientBytes: number;
  toClientBytes: number;
}
