import type { HealthCheckConfig, ProtocolName, UpstreamConfig, UpstreamTlsConfig } from "./config.ts";
import { type Field, list, oneOf, type RawMap, record, type Type } from "../../frame/config/decode.ts";
import { fixed, optional, orOff, required, withDefault } from "../../frame/config/fields.ts";
import { absolutePath, boolean, duration, endpointAddress, integer, text, urlPath } from "../../frame/config/scalars.ts";

type TlsMode = UpstreamTlsConfig["mode"];

/** What differs between the upstreams of the protocols. */
interface Trait {
  /** Where an endpoint may be written without its port. */
  readonly port: number | undefined;
  /** Undefined: no TLS. `prefer` needs a protocol that asks for TLS within itself. */
  readonly tlsModes: readonly TlsMode[] | undefined;
  readonly checks: readonly HealthCheckConfig["kind"][];
}

const isVerified = ["verify-ca", "verify-full"] as const;
const databaseModes = ["disable", "prefer", "require", ...isVerified] as const;

const traits = {
  tcp: { port: undefined, tlsModes: undefined, checks: ["connect"] },
  tls: { port: undefined, tlsModes: ["require", ...isVerified], checks: ["connect"] },
  http: { port: undefined, tlsModes: ["disable", "require", ...isVerified], checks: ["connect", "http"] },
  postgres: { port: 5432, tlsModes: databaseModes, checks: ["login", "connect"] },
  mysql: { port: 3306, tlsModes: databaseModes, checks: ["login", "connect"] },
  redis: { port: 6379, tlsModes: ["disable", "require", ...isVerified], checks: ["login", "connect"] },
} as const satisfies Record<ProtocolName, Trait>;

/** TLS towards a server, with the modes that make sense for it. */
export function upstreamTls(modes: readonly TlsMode[], direct: Field<boolean>): Type<UpstreamTlsConfig> {
  return record<UpstreamTlsConfig>({
    mode: withDefault({
      type: oneOf(modes),
      fallback: "verify-full",
      help: "libpq's words: `verify-full` checks authority and name, `verify-ca` the authority alone; `require` encrypts without asking who is there, `prefer` even that only where the server offers it",
    }),
    caFile: optional({
      type: absolutePath,
      help: "The authorities to trust, in PEM; left out: the system's, or Node's own where the system has none",
    }),
    certFile: optional({ type: absolutePath, help: "A certificate to show, with its chain, in PEM; with `keyFile`" }),
    keyFile: optional({ type: absolutePath, help: "Its key, in PEM, without a passphrase" }),
    serverName: optional({ type: text, help: "The name in SNI and in the server's certificate; left out: the endpoint's host" }),
    minVersion: withDefault({
      type: oneOf(["TLSv1.2", "TLSv1.3"]),
      fallback: "TLSv1.2",
      help: "The oldest TLS to speak; what is older is broken (RFC 8996)",
    }),
    direct,
  });
}

/** Where a listener of this protocol forwards to, and how it chooses and tries. */
export function upstreamOf(protocol: ProtocolName): Type<UpstreamConfig> {
  const trait: Trait = traits[protocol];
  return record<UpstreamConfig>({
    endpoints: required({
      type: list(endpointAddress(trait.port), { atLeast: 1, of: "endpoints" }),
      help: "The servers, in the order of preference. A name may stand for several addresses",
    }),
    strategy: withDefault({
      type: oneOf(["first-available", "round-robin", "least-connections", "random-of-two"]),
      fallback: "first-available",
      help: "How one of several is chosen; by default the order says it, as in libpq's list of hosts",
    }),
    target: targetOf(protocol),
    tls: tlsOf(protocol, trait.tlsModes),
    sendProxyProtocol: optional({
      type: oneOf(["v1", "v2"]),
      help: "Tell the upstream the client's address by a PROXY protocol header of this version",
    }),
    connectMs: withDefault({
      key: "connectTimeout",
      type: duration("10ms", "10m"),
      fallback: "5s",
      help: "For one try: name, connection, TLS and login. Long enough for a TCP SYN to be lost twice",
    }),
    retry: withDefault({ type: retry, fallback: new Map(), help: "Tries before the first byte reached the client" }),
    healthCheck: orOff({
      type: healthCheckOf(protocol, trait.checks),
      fallback: onlyWhereSeveral,
      help: "Looks at each endpoint regularly. By default where there are several endpoints to choose from, since one alone is tried anyway",
    }),
    ejection: orOff({
      type: record<NonNullable<UpstreamConfig["ejection"]>>({
        failures: withDefault({
          type: integer(1, 1000),
          fallback: "5",
          help: "In a row; few enough to notice soon, more than one bad moment",
        }),
        forMs: withDefault({ key: "duration", type: duration("100ms", "1h"), fallback: "30s", help: "Left out so long, then tried again" }),
      }),
      fallback: onlyWhereSeveral,
      help: "Leaves out an endpoint at which real connections fail; for `http` so do requests that it answers with 502, 503 or 504, or not at all. By default where there are several, since one alone has no substitute",
    }),
    circuitBreaker: orOff({
      type: record<NonNullable<UpstreamConfig["circuitBreaker"]>>({
        failures: withDefault({
          type: integer(1, 10_000),
          fallback: "10",
          help: "In a row, over all endpoints; twice what ejects one endpoint",
        }),
        openMs: withDefault({
          key: "duration",
          type: duration("100ms", "1h"),
          fallback: "10s",
          help: "New connections are refused at once for so long",
        }),
      }),
      fallback: "off",
      help: "Spares an upstream that is down the tries of all clients; counts what `ejection` does. By default off: an application that waits in its own way is not hurried",
    }),
    resolveEveryMs: withDefault({
      key: "resolveInterval",
      type: duration("1s", "24h"),
      fallback: "30s",
      help: "How often names are looked up again; 30 s is the usual life of a name inside a cluster",
    }),
    keepAliveMs: orOff({
      key: "keepAlive",
      type: duration("1s", "24h"),
      fallback: "30s",
      help: "TCP keep-alive probes after so long without a byte; sooner than firewalls and load balancers forget a connection",
    }),
  });
}

const retry: Type<UpstreamConfig["retry"]> = record<UpstreamConfig["retry"]>({
  attempts: withDefault({
    type: integer(1, 100),
    fallback: "3",
    help: "In all, over all endpoints; a restart of one server is survived, and a client does not wait for long",
  }),
  backoffMs: withDefault({
    key: "backoff",
    type: duration("1ms", "1m"),
    fallback: "100ms",
    help: "The first pause before the same endpoint is tried again; doubled each time",
  }),
  maxBackoffMs: withDefault({ key: "maxBackoff", type: duration("1ms", "10m"), fallback: "2s", help: "The longest pause" }),
});

const onlyWhereSeveral = {
  says: "on where there are several endpoints, else `off`",
  from: (upstream: RawMap): RawMap | string => {
    const endpoints = upstream.get("endpoints");
    return Array.isArray(endpoints) && endpoints.length > 1 ? new Map() : "off";
  },
};

function targetOf(protocol: ProtocolName): Field<UpstreamConfig["target"]> {
  if (!isDatabase(protocol)) return fixed("any", `servers have roles only for postgres, mysql and redis, not for ${protocol}`);
  return withDefault({
    type: oneOf(["any", "read-write", "read-only", "prefer-read-only"]),
    fallback: "any",
    help: "What a server must be, primary or replica; it is asked at the login and by health checks",
  });
}

function tlsOf(protocol: ProtocolName, modes: readonly TlsMode[] | undefined): Field<UpstreamTlsConfig | undefined> {
  if (modes === undefined) return fixed(undefined, `${protocol} forwards bytes as they are: for TLS to the upstream say protocol: tls`);
  const type = upstreamTls(
    modes,
    protocol === "postgres"
      ? withDefault({ type: boolean, fallback: "false", help: "TLS from the first byte, without asking first: PostgreSQL 17 and later" })
      : fixed(false, "direct TLS is a matter of postgres; every other protocol here has no other way, or none"),
  );
  const help = "TLS to the upstream";
  if (protocol === "tls") return withDefault({ type, fallback: new Map(), help });
  return optional({ type, help: `${help}; left out: plain text. \`tls: {}\` is \`verify-full\` with the system's authorities` });
}

function healthCheckOf(protocol: ProtocolName, kinds: readonly HealthCheckConfig["kind"][]): Type<HealthCheckConfig> {
  return record<HealthCheckConfig>({
    kind: withDefault({
      type: oneOf(kinds),
      fallback: kinds[0] ?? "connect",
      help: "`connect`: something listens; `login`: the protocol's own, with the credentials; `http`: a GET is answered with 2xx or 3xx",
    }),
    everyMs: withDefault({
      key: "interval",
      type: duration("100ms", "1h"),
      fallback: "10s",
      help: "Between two checks, give or take a tenth",
    }),
    timeoutMs: withDefault({
      key: "timeout",
      type: duration("10ms", "10m"),
      fallback: "3s",
      help: "For one check; shorter than its interval, so that they do not pile up",
    }),
    unhealthyAfter: withDefault({ type: integer(1, 100), fallback: "3", help: "Checks in a row that must fail; one may be chance" }),
    healthyAfter: withDefault({ type: integer(1, 100), fallback: "2", help: "Checks in a row that must pass before it is trusted again" }),
    closeConnections: withDefault({
      type: boolean,
      fallback: "false",
      help: "End the connections at an address that has become unhealthy (not where it only refuses the credentials), or is no longer in the role that `target: read-write` or `read-only` needs; off, since a check may fail where work goes on",
    }),
    path:
      protocol === "http"
        ? withDefault({ type: urlPath, fallback: "/", help: "What to GET, for kind `http`" })
        : fixed("/", "there is a path only for protocol http"),
  });
}

function isDatabase(protocol: ProtocolName): boolean {
  return protocol === "postgres" || protocol === "mysql" || protocol === "redis";
}
