import type { EndpointState } from "../upstream/upstream.ts";
import { accessFields, type ConnectionRow } from "./access-log.ts";
import type { Ambassador } from "./ambassador.ts";
import type { Listener } from "./listener.ts";
import type { Readings } from "./metrics.ts";

/** What the admin page and its JSON show besides what every companion does. There is no credential in it. */
export interface AmbassadorStatus {
  readonly listeners: readonly ListenerStatus[];
  /** Connections of listeners that have left the configuration, or changed since. */
  readonly retiredConnections: number;
}

export interface ListenerStatus {
  readonly name: string;
  readonly protocol: string;
  /** With the port that was got. */
  readonly address: string;
  /** Why it is not ready; undefined: it is. */
  readonly problem: string | undefined;
  readonly connections: number;
  /** Those from before the listener changed. */
  readonly retiredConnections: number;
  /** Whether the kernel forwards new connections; they are not among those that are listed. */
  readonly isInKernel: boolean;
  readonly queued: number;
  readonly endpoints: readonly EndpointState[];
}

/** The state of everything, now. */
export function readStatus(ambassador: Ambassador): AmbassadorStatus {
  const listeners = ambassador.serving().map(({ listener, address }): ListenerStatus => ({
    name: listener.config.name,
    protocol: listener.config.protocol,
    address,
    problem: problemOf(listener, ambassador),
    connections: listener.open,
    retiredConnections: openAt(ambassador, listener.config.name) - listener.open,
    isInKernel: listener.isInKernel,
    queued: listener.queued,
    endpoints: listener.upstream.endpoints(),
  }));
  const all = ambassador.listeners().reduce((sum, { open }) => sum + open, 0);
  return {
    listeners,
    retiredConnections: all - listeners.reduce((sum, { connections }) => sum + connections, 0),
  };
}

/** Clients' connections of a name, those included that came before its listener changed. */
function openAt(ambassador: Ambassador, name: string): number {
  return ambassador.listeners().reduce((sum, { config, open }) => (config.name === name ? sum + open : sum), 0);
}

/** Live connections, the oldest first, with the fields of the access log; at most `limit`. */
export function readConnections(ambassador: Ambassador, limit: number): ConnectionRow[] {
  const rows: ConnectionRow[] = [];
  for (const { config, connections } of ambassador.listeners()) {
    for (const connection of connections) {
      if (rows.length >= limit) return rows;
      rows.push({ listener: config.name, ...accessFields(connection) });
    }
  }
  return rows;
}

/** The same as gauges. */
export function toReadings({ listeners }: AmbassadorStatus): Readings {
  return {
    listeners: listeners.map(({ name, problem, connections, retiredConnections, queued, endpoints }) => ({
      name,
      isReady: problem === undefined,
      connections: connections + retiredConnections,
      queued,
      endpoints: endpoints.map(({ endpoint, health, unresolved, ejectedUntilMs, role, connections: there }) => ({
        endpoint,
        isUp: health !== "unhealthy" && ejectedUntilMs === undefined && unresolved === undefined,
        isEjected: ejectedUntilMs !== undefined,
        role,
        connections: there,
      })),
    })),
  };
}

/** What keeps listeners from being ready, a line each. */
export function problemsOf(listeners: readonly ListenerStatus[]): string[] {
  return listeners.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`]));
}

/** Not a live dial: a database that is down for a moment must not take its application out of service, and one that is slow not hang a probe. */
function problemOf({ upstream }: Listener, { isDraining }: Ambassador): string | undefined {
  if (isDraining) return "draining";
  if (upstream.isAvailable()) return undefined;
  const reasons = upstream
    .endpoints()
    .map(({ endpoint, unresolved, lastFailure }) => `${endpoint}: ${unresolved ?? lastFailure?.message ?? "not available"}`);
  return `no endpoint is available (${reasons.join("; ")})`;
}
