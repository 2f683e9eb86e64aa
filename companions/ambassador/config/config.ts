import type { SecretSource } from "../../frame/credentials/secret.ts";
import type { CommonConfig } from "../../frame/config/common.ts";
import type { Address } from "../../frame/address.ts";

/**
 * What an ambassador runs with: parsed, complete with defaults, frozen. The YAML that it is read from has the same names and shapes, but
 * for times (`connectTimeout: 5s`), addresses (`127.0.0.1:5432`, `unix:/run/app/db.sock`) and secrets (`passwordFile: /path`); schema.ts
 * has the keys, bounds and defaults.
 */
export interface AmbassadorConfig extends CommonConfig {
  /** A line for each connection (and for each request of an `http` listener) on standard error. */
  readonly accessLog: boolean;
  readonly listeners: readonly ListenerConfig[];
}

export type ListenerConfig =
  | TcpListenerConfig
  | TlsListenerConfig
  | HttpListenerConfig
  | PostgresListenerConfig
  | MysqlListenerConfig
  | RedisListenerConfig;

export type ProtocolName = ListenerConfig["protocol"];

/** What every listener has. */
export interface CommonListenerConfig {
  /** Unique; in logs, metrics and the admin page. */
  readonly name: string;
  readonly listen: Address;
  /** Mode of a UNIX socket's file. Default 0660. */
  readonly socketMode: number;
  /** The client's connection begins with a PROXY protocol header, v1 or v2, which must be there. */
  readonly acceptProxyProtocol: boolean;
  /** TLS towards the application: a certificate of our own. Undefined: plain, as localhost is. */
  readonly serverTls: ServerTlsConfig | undefined;
  /** A client must have said what its handshake needs within this time. Default 10 s. */
  readonly handshakeMs: number;
  readonly limits: LimitsConfig;
  readonly upstream: UpstreamConfig;
}

export interface TcpListenerConfig extends CommonListenerConfig {
  readonly protocol: "tcp";
  /** `kernel`: forwarded by nftables in this network namespace; `user`: by this process. Default `user`. */
  readonly datapath: "user" | "kernel";
}

/** TCP in, TLS out. `upstream.tls` is there. */
export interface TlsListenerConfig extends CommonListenerConfig {
  readonly protocol: "tls";
}

export interface HttpListenerConfig extends CommonListenerConfig {
  readonly protocol: "http";
  /** Put into every request in place of what the application sent under the same name. */
  readonly headers: readonly { readonly name: string; readonly value: SecretSource }[];
  readonly auth: HttpAuthConfig | undefined;
  /** The Host header sent upstream; undefined: the endpoint's own name. `preserve`: the client's. */
  readonly hostHeader: "endpoint" | "preserve" | { readonly value: string };
  /** Between two bytes of an exchange. Default 60 s. */
  readonly idleMs: number;
}

export type HttpAuthConfig =
  | { readonly kind: "basic"; readonly username: SecretSource; readonly password: SecretSource }
  | { readonly kind: "bearer"; readonly token: SecretSource }
  | { readonly kind: "api-key"; readonly header: string; readonly key: SecretSource }
  | {
      readonly kind: "oauth2-client-credentials";
      readonly tokenUrl: string;
      readonly clientId: SecretSource;
      readonly clientSecret: SecretSource;
      readonly scopes: readonly string[];
      /** Sent as `audience`, where the server wants one. */
      readonly audience: string | undefined;
      /** A new token is fetched when so much of the old one's time is left. Default 60 s, never more than half of its life. */
      readonly refreshBeforeMs: number;
      /** For the token's server. */
      readonly tls: UpstreamTlsConfig | undefined;
    };

/** The login of a database, in place of the application's. */
export interface LoginConfig {
  /** Undefined: the application's own. */
  readonly username: SecretSource | undefined;
  readonly password: SecretSource | undefined;
  /** Connections made with credentials that have changed since are ended after this time, between two queries where the protocol shows it. Undefined: never. */
  readonly maxAgeMs: number | undefined;
}

export interface PostgresListenerConfig extends CommonListenerConfig {
  readonly protocol: "postgres";
  readonly login: LoginConfig;
  /** Undefined: the one that the application asks for. */
  readonly database: string | undefined;
  /** Whether SCRAM must, may or must not be bound to the TLS channel. Default `prefer`. */
  readonly channelBinding: "require" | "prefer" | "disable";
  /** The weakest way to log in that is gone along with. Default `scram-sha-256` where TLS is not verified, else `password`. */
  readonly weakestAuth: "scram-sha-256" | "md5" | "password";
}

export interface MysqlListenerConfig extends CommonListenerConfig {
  readonly protocol: "mysql";
  readonly login: LoginConfig;
  readonly database: string | undefined;
  /** The server's RSA key for caching_sha2_password without TLS, in PEM; undefined: asked for, only where `allowPublicKeyRetrieval`. */
  readonly serverPublicKeyFile: string | undefined;
  readonly allowPublicKeyRetrieval: boolean;
}

export interface RedisListenerConfig extends CommonListenerConfig {
  readonly protocol: "redis";
  readonly login: LoginConfig;
  /** SELECTed at login; undefined: 0, as ever. */
  readonly database: number | undefined;
}

export interface ServerTlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
  /** Clients must show a certificate of one of these authorities. */
  readonly clientCaFile: string | undefined;
}

export interface UpstreamTlsConfig {
  /** libpq's words. `prefer` and below may end in plain text; `require` encrypts without asking who is there; `verify-full` is the default. */
  readonly mode: "disable" | "prefer" | "require" | "verify-ca" | "verify-full";
  /** Undefined: the system's authorities. */
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  /** The name in SNI and to be found in the certificate; undefined: the endpoint's host. */
  readonly serverName: string | undefined;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  /** PostgreSQL 17's direct TLS, without asking first. Only for `postgres`. */
  readonly direct: boolean;
}

export interface UpstreamConfig {
  /** In order: `first-available` takes the first that is well. A name may stand for several addresses. */
  readonly endpoints: readonly Address[];
  readonly strategy: "first-available" | "round-robin" | "least-connections" | "random-of-two";
  /** What an endpoint must be; asked for at login and by health checks. Only for `postgres`, `mysql` and `redis`; default `any`. */
  readonly target: "any" | "read-write" | "read-only" | "prefer-read-only";
  readonly tls: UpstreamTlsConfig | undefined;
  /** Sent before anything else: tells the upstream the client's address. */
  readonly sendProxyProtocol: "v1" | "v2" | undefined;
  /** One try: name, connection, TLS and login. Default 5 s. */
  readonly connectMs: number;
  readonly retry: {
    /** Tries in all, over all endpoints, before the client hears of it. Default 3. */
    readonly attempts: number;
    readonly backoffMs: number;
    readonly maxBackoffMs: number;
  };
  /** Undefined: none. */
  readonly healthCheck: HealthCheckConfig | undefined;
  /** Failures of real connections in a row after which an endpoint is left out for a while. Undefined: never. */
  readonly ejection: { readonly failures: number; readonly forMs: number } | undefined;
  /** Failures in a row over all endpoints after which new connections are refused at once for a while. Undefined: never. */
  readonly circuitBreaker: { readonly failures: number; readonly openMs: number } | undefined;
  /** How often names are looked up again. Default 30 s. */
  readonly resolveEveryMs: number;
  /** TCP keep-alive probes after so long without a byte; undefined: none. Default 30 s. */
  readonly keepAliveMs: number | undefined;
}

export interface HealthCheckConfig {
  readonly everyMs: number;
  readonly timeoutMs: number;
  /** Checks in a row that must fail, or pass, to change the verdict. */
  readonly unhealthyAfter: number;
  readonly healthyAfter: number;
  /** Whether connections end at an address that is unhealthy by more than refused credentials, or not in the role that `target` needs. Default false. */
  readonly closeConnections: boolean;
  /** `login`: the protocol's own, with the credentials; `connect`: that something listens. Default `login` for databases. `http`: a GET. */
  readonly kind: "connect" | "login" | "http";
  /** For `http`. */
  readonly path: string;
}

export interface LimitsConfig {
  /** At a time. Default 10,000. */
  readonly connections: number;
  /** Clients that wait for one of them, and for how long. Default none. */
  readonly queue: { readonly length: number; readonly timeoutMs: number };
  /** New connections (requests, for `http`) a second, in the long run, and at once. Undefined: no limit. */
  readonly rate: { readonly perSecond: number; readonly burst: number } | undefined;
}
