import { commonVariables } from "../../frame/config/common.ts";
import type { Environment, Variable, VariableTable } from "../../frame/config/schema.ts";

const isHttp = ({ AMBASSADOR_PROTOCOL: protocol }: Environment): boolean => protocol === "http";

const credential =
  (name: string) =>
  (environment: Environment): string =>
    `listeners.0.${isHttp(environment) ? "auth" : "login"}.${name}`;

const AUTH_KIND = "listeners.0.auth.kind";

/** For `http`, the variable says how requests are authorized, too. */
const authorizedBy =
  (kind: string) =>
  (environment: Environment): readonly [string, string] | undefined =>
    isHttp(environment) ? [AUTH_KIND, kind] : undefined;

const all: readonly Variable[] = [
  { name: "AMBASSADOR_PROTOCOL", key: "listeners.0.protocol", help: "`tcp`, `tls`, `http`, `postgres`, `mysql` or `redis`; required" },
  { name: "AMBASSADOR_LISTEN", key: "listeners.0.listen", help: "Where the application connects to, such as `127.0.0.1:5432`; required" },
  {
    name: "AMBASSADOR_UPSTREAM",
    key: "listeners.0.upstream.endpoints",
    isList: true,
    help: "Where it goes, such as `db.example:5432`; several with commas; required",
  },
  { name: "AMBASSADOR_NAME", key: "listeners.0.name", help: "The listener's name in logs and metrics" },
  {
    name: "AMBASSADOR_USERNAME",
    key: credential("username"),
    implies: authorizedBy("basic"),
    help: "The user to log in as (of Basic authorization, for `http`)",
  },
  { name: "AMBASSADOR_USERNAME_FILE", key: credential("usernameFile"), implies: authorizedBy("basic"), help: "The same, from a file" },
  {
    name: "AMBASSADOR_PASSWORD_FILE",
    key: credential("passwordFile"),
    implies: authorizedBy("basic"),
    help: "The file with the password; for `http` it makes Basic authorization",
  },
  {
    name: "AMBASSADOR_TOKEN_FILE",
    key: "listeners.0.auth.tokenFile",
    implies: authorizedBy("bearer"),
    help: "The file with a Bearer token, for `http`",
  },
  {
    name: "AMBASSADOR_API_KEY_FILE",
    key: "listeners.0.auth.keyFile",
    implies: authorizedBy("api-key"),
    help: "The file with an API key, for `http`",
  },
  { name: "AMBASSADOR_API_KEY_HEADER", key: "listeners.0.auth.header", help: "The header to send that key in" },
  {
    name: "AMBASSADOR_CREDENTIAL_MAX_AGE",
    key: "listeners.0.login.maxAge",
    help: "How long connections with changed credentials may go on",
  },
  { name: "AMBASSADOR_DATABASE", key: "listeners.0.database", help: "The database to open" },
  { name: "AMBASSADOR_TARGET", key: "listeners.0.upstream.target", help: "`any`, `read-write`, `read-only` or `prefer-read-only`" },
  { name: "AMBASSADOR_STRATEGY", key: "listeners.0.upstream.strategy", help: "How one of several endpoints is chosen" },
  {
    name: "AMBASSADOR_UPSTREAM_TLS",
    key: "listeners.0.upstream.tls.mode",
    help: "`disable`, `prefer`, `require`, `verify-ca` or `verify-full`",
  },
  { name: "AMBASSADOR_CA_FILE", key: "listeners.0.upstream.tls.caFile", help: "The authorities to trust, in PEM" },
  { name: "AMBASSADOR_CERT_FILE", key: "listeners.0.upstream.tls.certFile", help: "A certificate to show to the upstream, in PEM" },
  { name: "AMBASSADOR_KEY_FILE", key: "listeners.0.upstream.tls.keyFile", help: "Its key, in PEM" },
  { name: "AMBASSADOR_SERVER_NAME", key: "listeners.0.upstream.tls.serverName", help: "The name in SNI and in the server's certificate" },
  { name: "AMBASSADOR_WEAKEST_AUTH", key: "listeners.0.weakestAuth", help: "The weakest login of PostgreSQL that is gone along with" },
  {
    name: "AMBASSADOR_CONNECT_TIMEOUT",
    key: "listeners.0.upstream.connectTimeout",
    help: "For one try to connect and log in, such as `5s`",
  },
  { name: "AMBASSADOR_MAX_CONNECTIONS", key: "listeners.0.limits.connections", help: "Connections at a time" },
  {
    name: "AMBASSADOR_ACCEPT_PROXY_PROTOCOL",
    key: "listeners.0.acceptProxyProtocol",
    help: "`true`: connections begin with a PROXY protocol header",
  },
  {
    name: "AMBASSADOR_SEND_PROXY_PROTOCOL",
    key: "listeners.0.upstream.sendProxyProtocol",
    help: "`v1` or `v2`: send such a header to the upstream",
  },
  { name: "AMBASSADOR_DATAPATH", key: "listeners.0.datapath", help: "`kernel`: forward by nftables, for `tcp`" },
  { name: "AMBASSADOR_ACCESS_LOG", key: "accessLog", help: "`true`: a line for each connection or request" },
  ...commonVariables("AMBASSADOR_", { drain: "How long connections may go on after SIGTERM" }),
];

/** Every variable of the simple case: one listener, and no file. */
export const ambassadorVariables: VariableTable = {
  prefix: "AMBASSADOR_",
  all,
  needed: ["AMBASSADOR_PROTOCOL", "AMBASSADOR_LISTEN", "AMBASSADOR_UPSTREAM"],
  base: new Map([["listeners", [new Map()]]]),
  whyUnknown: (at, environment) => {
    const authorizer = at.startsWith("listeners.0.auth.")
      ? all.findLast((one) => isSet(one, environment) && one.implies?.(environment) !== undefined)
      : undefined;
    return authorizer === undefined
      ? `has no meaning for protocol ${environment["AMBASSADOR_PROTOCOL"] ?? ""}`
      : `cannot stand beside ${authorizer.name}`;
  },
};

function isSet({ name }: Variable, environment: Environment): boolean {
  return (environment[name] ?? "") !== "";
}
