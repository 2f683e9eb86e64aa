import { isIPv6 } from "node:net";
import { formatAddress, type Address } from "../../frame/address.ts";
import type { ListenerConfig, UpstreamTlsConfig } from "./config.ts";
import { isLoopback } from "../../frame/config/scalars.ts";

/** Says what is wrong at a place below the one that is checked, such as `upstream.endpoints.0`. */
export type Report = (path: string, message: string) => void;

/** What does not go together within one listener, each by itself, so that one that meets an unreadable value leaves the others alone. */
export const listenerChecks: readonly ((listener: ListenerConfig, report: Report) => void)[] = [
  ({ listen, upstream }, report) => {
    for (const [index, endpoint] of upstream.endpoints.entries())
      if (leadsTo(endpoint, listen)) report(`upstream.endpoints.${index}`, "is the listener's own address: it would forward to itself");
  },
  ({ upstream }, report) => {
    const seen = new Set<string>();
    for (const [index, endpoint] of upstream.endpoints.entries()) {
      const text = formatAddress(endpoint);
      if (seen.has(text)) report(`upstream.endpoints.${index}`, `${text} is there twice`);
      seen.add(text);
    }
  },
  ({ upstream: { tls } }, report) => {
    if (tls !== undefined) checkTls(tls, (path, message) => report(`upstream.tls.${path}`, message));
  },
  ({ upstream: { tls, endpoints } }, report) => {
    if (tls?.mode === "verify-full" && tls.serverName === undefined && endpoints.some(({ kind }) => kind === "unix"))
      report("upstream.tls.serverName", "is missing: verify-full looks for a name in the certificate, and a UNIX socket has none");
  },
  ({ upstream: { retry } }, report) => {
    if (retry.backoffMs > retry.maxBackoffMs) report("upstream.retry.backoff", "is longer than maxBackoff");
  },
  ({ upstream: { healthCheck } }, report) => {
    if (healthCheck === undefined || healthCheck.timeoutMs <= healthCheck.everyMs) return;
    const { timeoutMs, everyMs } = healthCheck; // in figures, since one of them may be the default
    report("upstream.healthCheck.timeout", `is ${timeoutMs} ms, longer than the interval, ${everyMs} ms: checks would pile up`);
  },
  (listener, report) => {
    if (listener.protocol === "http") checkHeaders(listener, report);
  },
  (listener, report) => {
    if (listener.protocol === "http" && listener.auth?.kind === "oauth2-client-credentials" && listener.auth.tls !== undefined)
      checkTls(listener.auth.tls, (path, message) => report(`auth.tls.${path}`, message));
  },
  (listener, report) => {
    if (listener.protocol !== "postgres") return;
    const { tls } = listener.upstream;
    const isEncrypted = tls !== undefined && tls.mode !== "disable" && tls.mode !== "prefer";
    if (tls?.direct === true && !isEncrypted)
      report("upstream.tls.direct", `needs a mode of require or stronger: with ${tls.mode} the server may answer in plain text`);
    if (listener.channelBinding === "require" && !isEncrypted)
      report("channelBinding", "needs upstream.tls with a mode of require or stronger: there is no channel to bind to");
  },
  (listener, report) => {
    if (listener.protocol === "tcp" && listener.datapath === "kernel") checkKernel(listener, report);
  },
];

/** Headers whose whole purpose is a credential. */
const SECRET_HEADERS = ["authorization", "proxy-authorization", "cookie", "x-api-key"];

/** Headers that say where a message ends or how a connection goes on (RFC 9110 7.6.1, RFC 9112 6): who sets them breaks the exchange. */
const FRAMING_HEADERS = [
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

function checkHeaders({ headers, auth }: Extract<ListenerConfig, { protocol: "http" }>, report: Report): void {
  const authHeader = auth?.kind === "api-key" ? auth.header.toLowerCase() : "authorization";
  const check = (name: string, path: string): void => {
    if (FRAMING_HEADERS.includes(name)) report(path, "is the connection's own affair, and cannot be set");
    if (name === "host") report(path, "say hostHeader for it");
  };
  if (auth?.kind === "api-key") check(authHeader, "auth.header");
  for (const [index, { name, value }] of headers.entries()) {
    const lower = name.toLowerCase();
    check(lower, `headers.${index}.name`);
    if (auth !== undefined && lower === authHeader) report(`headers.${index}.name`, `is what auth sets: only one of the two`);
    if (headers.findIndex((other) => other.name.toLowerCase() === lower) < index) report(`headers.${index}.name`, `${name} is there twice`);
    if (value.kind === "value" && SECRET_HEADERS.includes(lower))
      report(`headers.${index}.value`, `${name} carries a secret: put it into a file, and say valueFile: /path/of/it`);
  }
}

function checkTls(tls: UpstreamTlsConfig, report: Report): void {
  if (tls.certFile !== undefined && tls.keyFile === undefined) report("keyFile", "is missing: a certificate is of no use without its key");
  if (tls.keyFile !== undefined && tls.certFile === undefined) report("certFile", "is missing: a key is of no use without its certificate");
  if (tls.caFile !== undefined && (tls.mode === "prefer" || tls.mode === "require"))
    report("caFile", `is not looked at with mode ${tls.mode}: say verify-full, or verify-ca`);
  // As libpq with sslrootcert=system.
  if (tls.caFile === undefined && tls.mode === "verify-ca")
    report("caFile", "is missing: verify-ca asks for no name, and the system's authorities issue to anybody; say verify-full, or name one");
}

/** What nftables cannot do, or would not let this process see. */
function checkKernel(listener: Extract<ListenerConfig, { protocol: "tcp" }>, report: Report): void {
  const cannot = (path: string, what: string): void =>
    report(path, `${what} needs datapath: user, since the kernel forwards packets unseen`);
  if (listener.acceptProxyProtocol) cannot("acceptProxyProtocol", "a PROXY protocol header");
  if (listener.upstream.sendProxyProtocol !== undefined) cannot("upstream.sendProxyProtocol", "a PROXY protocol header");
  if (listener.serverTls !== undefined) cannot("serverTls", "TLS");
  if (listener.limits.rate !== undefined) cannot("limits.rate", "a rate limit");
  if (listener.limits.queue.length > 0) cannot("limits.queue", "a queue");
  if (listener.listen.kind === "unix") cannot("listen", "a UNIX socket");
  const { listen, upstream } = listener;
  if (upstream.healthCheck?.closeConnections === true)
    report(
      "upstream.healthCheck.closeConnections",
      "needs datapath: user: connections that the kernel forwards are not seen here, and cannot be ended one by one",
    );
  if (listen.kind === "tcp" && listen.port === 0) report("listen", "needs a port of its own with datapath: kernel");
  if (listen.kind === "tcp" && !listen.host.startsWith("127."))
    report("listen", "needs an address in 127.0.0.0/8 with datapath: kernel: its rules take what starts in this network, by IPv4");
  for (const [index, endpoint] of upstream.endpoints.entries())
    if (endpoint.kind === "tcp" && isIPv6(endpoint.host))
      report(`upstream.endpoints.${index}`, "is an IPv6 address, and datapath: kernel is for IPv4");
  if (upstream.strategy !== "first-available")
    report("upstream.strategy", "needs datapath: user: the kernel sends every new connection to one endpoint, the first that is available");
  for (const [index, endpoint] of listener.upstream.endpoints.entries())
    if (endpoint.kind === "unix") cannot(`upstream.endpoints.${index}`, "a UNIX socket");
}

/** Whether a connection to `endpoint` arrives at the listener, as far as the text shows it. */
export function leadsTo(endpoint: Address, listen: Address): boolean {
  if (endpoint.kind === "unix" || listen.kind === "unix")
    return endpoint.kind === listen.kind && formatAddress(endpoint) === formatAddress(listen);
  if (endpoint.port !== listen.port) return false;
  const isWildcard = listen.host === "::" || listen.host === "0.0.0.0";
  if (endpoint.host === "localhost") return isWildcard || isLoopback(listen.host);
  return endpoint.host === listen.host || (isWildcard && isLoopback(endpoint.host));
}
