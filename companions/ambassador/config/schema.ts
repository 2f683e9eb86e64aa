import type {
  AmbassadorConfig,
  CommonListenerConfig,
  HttpAuthConfig,
  HttpListenerConfig,
  LimitsConfig,
  ListenerConfig,
  LoginConfig,
  MysqlListenerConfig,
  PostgresListenerConfig,
  ProtocolName,
  RedisListenerConfig,
  ServerTlsConfig,
  TcpListenerConfig,
  TlsListenerConfig,
} from "./config.ts";
import { commonFields } from "../../frame/config/common.ts";
import { type Field, list, oneOf, type Raw, type RawMap, record, type Type, variants } from "../../frame/config/decode.ts";
import { fixed, needed, onlyFile, optional, plainOrFile, required, tag, withDefault } from "../../frame/config/fields.ts";
import {
  absolutePath,
  boolean,
  duration,
  fileMode,
  headerName,
  integer,
  listenAddress,
  listenerName,
  text,
  tokenUrl,
} from "../../frame/config/scalars.ts";
import { upstreamOf, upstreamTls } from "./schema-upstream.ts";

const kindHelp = "How requests are authorized";
const protocolHelp = "What is spoken here; `tls` is plain in and TLS out";

const limits: Type<LimitsConfig> = record<LimitsConfig>({
  connections: withDefault({
    type: integer(1, 1_000_000),
    fallback: "10000",
    help: "At a time; far more than a pod needs, and memory for them is had",
  }),
  queue: withDefault({
    type: record<LimitsConfig["queue"]>({
      length: withDefault({
        type: integer(0, 100_000),
        fallback: "0",
        help: "Clients that wait for one of them; by default none: they are told at once",
      }),
      timeoutMs: withDefault({
        key: "timeout",
        type: duration("10ms", "10m"),
        fallback: "5s",
        help: "How long they wait; as long as a connection may take",
      }),
    }),
    fallback: new Map(),
    help: "Clients above the limit",
  }),
  rate: optional({
    type: record<NonNullable<LimitsConfig["rate"]>>({
      perSecond: required({ type: integer(1, 1_000_000), help: "New connections (requests, for `http`) a second, in the long run" }),
      burst: withDefault({
        type: integer(1, 1_000_000),
        fallback: { says: "`perSecond`", from: (rate: RawMap): Raw => rate.get("perSecond") ?? "1" },
        help: "So many at once, after a quiet time",
      }),
    }),
    help: "Left out: no limit",
  }),
});

const serverTls: Type<ServerTlsConfig> = record<ServerTlsConfig>({
  certFile: required({ type: absolutePath, help: "The certificate to show, with its chain, in PEM" }),
  keyFile: required({ type: absolutePath, help: "Its key, in PEM, without a passphrase" }),
  clientCaFile: optional({ type: absolutePath, help: "Clients must show a certificate of one of these authorities" }),
});

const login: Type<LoginConfig> = record<LoginConfig>({
  username: plainOrFile("The user to log in as; left out: the one that the application names"),
  password: onlyFile("The file with the password; read anew for each login, one newline at its end is not part of it"),
  maxAgeMs: optional({
    key: "maxAge",
    type: duration("1s", "720h"),
    help: "Connections made with credentials that have changed since are ended after this time; left out: never",
  }),
});

const auth: Type<HttpAuthConfig> = variants<HttpAuthConfig>("kind", {
  basic: record<Extract<HttpAuthConfig, { kind: "basic" }>>({
    kind: tag("basic", kindHelp),
    username: needed(plainOrFile("The user")),
    password: needed(onlyFile("The file with the password")),
  }),
  bearer: record<Extract<HttpAuthConfig, { kind: "bearer" }>>({
    kind: tag("bearer", kindHelp),
    token: needed(onlyFile("The file with the token")),
  }),
  "api-key": record<Extract<HttpAuthConfig, { kind: "api-key" }>>({
    kind: tag("api-key", kindHelp),
    header: withDefault({ type: headerName, fallback: "X-API-Key", help: "The header to send the key in; by default the commonest" }),
    key: needed(onlyFile("The file with the key")),
  }),
  "oauth2-client-credentials": record<Extract<HttpAuthConfig, { kind: "oauth2-client-credentials" }>>({
    kind: tag("oauth2-client-credentials", kindHelp),
    tokenUrl: required({ type: tokenUrl, help: "Where tokens are had: https, or http on a loopback address" }),
    clientId: needed(plainOrFile("The client's id")),
    clientSecret: needed(onlyFile("The file with the client's secret")),
    scopes: withDefault({
      type: list(text, { atLeast: 0, of: "scopes" }),
      fallback: [],
      help: "The scopes to ask for; by default what the server gives unasked",
    }),
    audience: optional({ type: text, help: "Sent as `audience`, where the server wants one" }),
    refreshBeforeMs: withDefault({
      key: "refreshBefore",
      type: duration("1s", "24h"),
      fallback: "60s",
      help: "A new token is fetched when so much of the old one's time is left, or half of its life if that is less; a failed try has time to be repeated",
    }),
    tls: optional({
      type: upstreamTls(["require", "verify-ca", "verify-full"], fixed(false, "direct TLS is a matter of postgres")),
      help: "TLS to the token's server; left out: verified by the system's authorities",
    }),
  }),
});

/** The fields that every listener has. */
function common(protocol: ProtocolName): { readonly [K in keyof CommonListenerConfig]-?: Field<CommonListenerConfig[K]> } {
  return {
    name: withDefault({
      type: listenerName,
      fallback: { says: "the protocol", from: (): Raw => protocol },
      help: "In logs, metrics and the admin page; must be unique",
    }),
    listen: required({
      type: listenAddress,
      help: 'Where the application connects to: `127.0.0.1:5432`, `:5432` (the same), `"[::1]:5432"`, `unix:/path`',
    }),
    socketMode: withDefault({
      type: fileMode,
      fallback: "0660",
      help: "Permissions of a UNIX socket's file; the default lets the pod's `fsGroup` connect, and nobody else",
    }),
    acceptProxyProtocol: withDefault({
      type: boolean,
      fallback: "false",
      help: "Connections begin with a PROXY protocol header, v1 or v2, which must be there",
    }),
    serverTls: optional({
      type: serverTls,
      help: "TLS towards the application, and nothing else then; left out: plain, since localhost is not on a wire",
    }),
    handshakeMs: withDefault({
      key: "handshakeTimeout",
      type: duration("100ms", "10m"),
      fallback: "10s",
      help: "A client must have said what its handshake needs within this time; generous for a slow one, short for a dead one",
    }),
    limits: withDefault({ type: limits, fallback: new Map(), help: "How much is let in" }),
    upstream: required({ type: upstreamOf(protocol), help: "Where it goes" }),
  };
}

const tcp: Type<TcpListenerConfig> = record<TcpListenerConfig>({
  protocol: tag("tcp", protocolHelp),
  ...common("tcp"),
  datapath: withDefault({
    type: oneOf(["user", "kernel"]),
    fallback: "user",
    help: "`kernel`: forwarded by nftables in the pod's network namespace, which needs NET_ADMIN; the default needs no rights",
  }),
});

const tls: Type<TlsListenerConfig> = record<TlsListenerConfig>({ protocol: tag("tls", protocolHelp), ...common("tls") });

const http: Type<HttpListenerConfig> = record<HttpListenerConfig>({
  protocol: tag("http", protocolHelp),
  ...common("http"),
  headers: withDefault({
    type: list(
      record<HttpListenerConfig["headers"][number]>({
        name: required({ type: headerName, help: "The header's name" }),
        value: needed(plainOrFile("Its value")),
      }),
      { atLeast: 0, of: "headers" },
    ),
    fallback: [],
    help: "Put into every request, in place of what the application sent under the same name",
  }),
  auth: optional({ type: auth, help: "How every request is authorized, in place of the application's own `Authorization`" }),
  hostHeader: withDefault({
    type: hostHeader(),
    fallback: "endpoint",
    help: "The Host header sent upstream: `endpoint`, its own name, which virtual hosts need; `preserve`, the client's; `{value: NAME}`",
  }),
  idleMs: withDefault({
    key: "idleTimeout",
    type: duration("1s", "24h"),
    fallback: "60s",
    help: "The longest pause within an exchange; as long as common servers wait",
  }),
});

const postgres: Type<PostgresListenerConfig> = record<PostgresListenerConfig>({
  protocol: tag("postgres", protocolHelp),
  ...common("postgres"),
  login: withDefault({ type: login, fallback: new Map(), help: "The login at the server, in place of the application's" }),
  database: optional({ type: text, help: "The database to open; left out: the one that the application asks for" }),
  channelBinding: withDefault({
    type: oneOf(["require", "prefer", "disable"]),
    fallback: "prefer",
    help: "Whether SCRAM is bound to the TLS channel; by default wherever the server can",
  }),
  weakestAuth: withDefault({
    type: oneOf(["scram-sha-256", "md5", "password"]),
    fallback: { says: "`password` where TLS verifies the server, else `scram-sha-256`", from: weakestAuth },
    help: "The weakest way to log in that is gone along with; with `scram-sha-256` the server must prove that it knows the password, and one that lets everybody in is refused",
  }),
});

const mysql: Type<MysqlListenerConfig> = record<MysqlListenerConfig>({
  protocol: tag("mysql", protocolHelp),
  ...common("mysql"),
  login: withDefault({ type: login, fallback: new Map(), help: "The login at the server, in place of the application's" }),
  database: optional({ type: text, help: "The database to open; left out: the one that the application asks for" }),
  serverPublicKeyFile: optional({
    type: absolutePath,
    help: "The server's RSA key, in PEM, for `caching_sha2_password` without TLS; with TLS a server takes no key, and has to be verified",
  }),
  allowPublicKeyRetrieval: withDefault({
    type: boolean,
    fallback: "false",
    help: "Ask the server for that key, and tell it the password where TLS does not verify it (mode `require`); off, since whoever is in between could answer",
  }),
});

const redis: Type<RedisListenerConfig> = record<RedisListenerConfig>({
  protocol: tag("redis", protocolHelp),
  ...common("redis"),
  login: withDefault({ type: login, fallback: new Map(), help: "The login at the server, in place of the application's" }),
  database: optional({ type: integer(0, 1_000_000), help: "SELECTed at the login; left out: 0, as ever" }),
});

const listener: Type<ListenerConfig> = variants<ListenerConfig>("protocol", { tcp, tls, http, postgres, mysql, redis } satisfies Record<
  ProtocolName,
  Type<ListenerConfig>
>);

const top = commonFields({
  page: "a page of endpoints and connections",
  drain: "How long connections may go on after SIGTERM, or after their listener left the configuration",
});

/** All that a configuration may say: the one place for names, types, bounds, defaults and their reasons. */
export const configType: Type<AmbassadorConfig> = record<AmbassadorConfig>({
  admin: top.admin,
  logLevel: top.logLevel,
  accessLog: withDefault({
    type: boolean,
    fallback: "false",
    help: "A line for each connection (each request, for `http`) on standard error; off, since the application's own log says most of it",
  }),
  drainMs: top.drainMs,
  listeners: required({ type: list(listener, { atLeast: 1, of: "listeners" }), help: "Any number of them" }),
});

function hostHeader(): Type<HttpListenerConfig["hostHeader"]> {
  const words = oneOf(["endpoint", "preserve"]);
  const mapping = record<{ readonly value: string }>({ value: required({ type: text, help: "The name" }) });
  return {
    shape: { kind: "scalar", name: "endpoint, preserve, {value: NAME}" },
    decode: (raw, place) => (raw instanceof Map ? mapping.decode(raw, place) : words.decode(raw, place)),
  };
}

function weakestAuth(listenerMap: RawMap): Raw {
  const upstream = listenerMap.get("upstream");
  const given = upstream instanceof Map ? (upstream as RawMap).get("tls") : undefined; // a Raw that is a Map is a RawMap
  if (!(given instanceof Map)) return "scram-sha-256";
  const mode = (given as RawMap).get("mode") ?? "verify-full";
  return mode === "verify-full" || mode === "verify-ca" ? "password" : "scram-sha-256";
}
