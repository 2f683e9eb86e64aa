/** One variable, as the program reads it and the documents show it. What it may be is said by the field that it stands for. */
export interface AmbassadorVariable {
  readonly name: string;
  readonly help: string;
  /** The key that it stands for, of the one listener where it begins with a dot; may depend on the protocol. */
  readonly key: string | ((protocol: string) => string);
  /** Several values with commas between them. */
  readonly isList?: boolean;
  /** The `auth.kind` that it makes, for `http`. */
  readonly authKind?: string;
}

/** What the name of every variable begins with. */
export const PREFIX = "AMBASSADOR_";

/** The variable that names a configuration file; then there can be no other. */
export const CONFIG_VARIABLE = "AMBASSADOR_CONFIG";

const credential =
  (name: string) =>
  (protocol: string): string =>
    protocol === "http" ? `.auth.${name}` : `.login.${name}`;

/** Every variable of the simple case: one listener, and no file. */
export const ambassadorVariables: readonly AmbassadorVariable[] = [
  { name: "AMBASSADOR_PROTOCOL", key: ".protocol", help: "`tcp`, `tls`, `http`, `postgres`, `mysql` or `redis`; required" },
  { name: "AMBASSADOR_LISTEN", key: ".listen", help: "Where the application connects to, such as `127.0.0.1:5432`; required" },
  {
    name: "AMBASSADOR_UPSTREAM",
    key: ".upstream.endpoints",
    isList: true,
    help: "Where it goes, such as `db.example:5432`; several with commas; required",
  },
  { name: "AMBASSADOR_NAME", key: ".name", help: "The listener's name in logs and metrics" },
  {
    name: "AMBASSADOR_USERNAME",
    key: credential("username"),
    authKind: "basic",
    help: "The user to log in as (of Basic authorization, for `http`)",
  },
  { name: "AMBASSADOR_USERNAME_FILE", key: credential("usernameFile"), authKind: "basic", help: "The same, from a file" },
  {
    name: "AMBASSADOR_PASSWORD_FILE",
    key: credential("passwordFile"),
    authKind: "basic",
    help: "The file with the password; for `http` it makes Basic authorization",
  },
  {
    name: "AMBASSADOR_TOKEN_FILE",
    key: ".auth.tokenFile",
    authKind: "bearer",
    help: "The file with a Bearer token, for `http`",
  },
  {
    name: "AMBASSADOR_API_KEY_FILE",
    key: ".auth.keyFile",
    authKind: "api-key",
    help: "The file with an API key, for `http`",
  },
  { name: "AMBASSADOR_API_KEY_HEADER", key: ".auth.header", help: "The header to send that key in" },
  { name: "AMBASSADOR_CREDENTIAL_MAX_AGE", key: ".login.maxAge", help: "How long connections with changed credentials may go on" },
  { name: "AMBASSADOR_DATABASE", key: ".database", help: "The database to open" },
  { name: "AMBASSADOR_TARGET", key: ".upstream.target", help: "`any`, `read-write`, `read-only` or `prefer-read-only`" },
  { name: "AMBASSADOR_STRATEGY", key: ".upstream.strategy", help: "How one of several endpoints is chosen" },
  { name: "AMBASSADOR_UPSTREAM_TLS", key: ".upstream.tls.mode", help: "`disable`, `prefer`, `require`, `verify-ca` or `verify-full`" },
  { name: "AMBASSADOR_CA_FILE", key: ".upstream.tls.caFile", help: "The authorities to trust, in PEM" },
  { name: "AMBASSADOR_CERT_FILE", key: ".upstream.tls.certFile", help: "A certificate to show to the upstream, in PEM" },
  { name: "AMBASSADOR_KEY_FILE", key: ".upstream.tls.keyFile", help: "Its key, in PEM" },
  { name: "AMBASSADOR_SERVER_NAME", key: ".upstream.tls.serverName", help: "The name in SNI and in the server's certificate" },
  { name: "AMBASSADOR_WEAKEST_AUTH", key: ".weakestAuth", help: "The weakest login of PostgreSQL that is gone along with" },
  { name: "AMBASSADOR_CONNECT_TIMEOUT", key: ".upstream.connectTimeout", help: "For one try to connect and log in, such as `5s`" },
  { name: "AMBASSADOR_MAX_CONNECTIONS", key: ".limits.connections", help: "Connections at a time" },
  { name: "AMBASSADOR_ACCEPT_PROXY_PROTOCOL", key: ".acceptProxyProtocol", help: "`true`: connections begin with a PROXY protocol header" },
  { name: "AMBASSADOR_SEND_PROXY_PROTOCOL", key: ".upstream.sendProxyProtocol", help: "`v1` or `v2`: send such a header to the upstream" },
  { name: "AMBASSADOR_DATAPATH", key: ".datapath", help: "`kernel`: forward by nftables, for `tcp`" },
  {
    name: "AMBASSADOR_ADMIN_LISTEN",
    key: "admin.listen",
    help: "Where `/healthz`, `/readyz` and `/metrics` are served, such as `0.0.0.0:9901`",
  },
  { name: "AMBASSADOR_LOG_LEVEL", key: "logLevel", help: "`error`, `warn`, `info` or `debug`" },
  { name: "AMBASSADOR_ACCESS_LOG", key: "accessLog", help: "`true`: a line for each connection or request" },
  { name: "AMBASSADOR_DRAIN_TIMEOUT", key: "drainTimeout", help: "How long connections may go on after SIGTERM" },
];
