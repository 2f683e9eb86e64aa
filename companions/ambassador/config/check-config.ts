import { isIP } from "node:net";
import { formatAddress } from "../flow/wire.ts";
import type { Address, AmbassadorConfig, ListenerConfig, UpstreamTlsConfig } from "./config.ts";
import { Place, type Problem, unreadable } from "./decode.ts";
import { isLoopback } from "./scalars.ts";

/** Says what is wrong at a place below the one that is checked. */
type Report = (path: string, message: string) => void;

/**
 * What no single value shows: names and addresses that are there twice, and settings that do not go together. Takes a configuration in
 * which properties that could not be read throw `unreadable`: checks that need one of those are left out.
 */
export function checkConfig(config: AmbassadorConfig, problems: Problem[]): void {
  const root = new Place(problems);
  attempt(() => checkUnique(config, root));
  attempt(() => {
    for (let index = 0; index < config.listeners.length; index += 1) {
      const place = root.at("listeners").at(index);
      const report: Report = (path, message) =>
        path
          .split(".")
          .reduce((at, step) => at.at(/^\d+$/.test(step) ? Number(step) : step), place)
          .report(message);
      for (const check of listenerChecks)
        attempt(() => {
          const listener = config.listeners[index];
          if (listener !== undefined) check(listener, report);
        });
    }
  });
}

const listenerChecks: readonly ((listener: ListenerConfig, report: Report) => void)[] = [
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
    if (healthCheck !== undefined && healthCheck.timeoutMs > healthCheck.everyMs)
      report("upstream.healthCheck.timeout", "is longer than the interval: checks would pile up");
  },
  (listener, report) => {
    if (listener.protocol !== "http") return;
    for (const [index, { name, value }] of listener.headers.entries())
      if (value.kind === "value" && SECRET_HEADERS.includes(name.toLowerCase()))
        report(`headers.${index}.value`, `${name} carries a secret: put it into a file, and say valueFile: /path/of/it`);
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

function checkTls(tls: UpstreamTlsConfig, report: Report): void {
  if (tls.certFile !== undefined && tls.keyFile === undefined) report("keyFile", "is missing: a certificate is of no use without its key");
  if (tls.keyFile !== undefined && tls.certFile === undefined) report("certFile", "is missing: a key is of no use without its certificate");
  if (tls.caFile !== undefined && (tls.mode === "prefer" || tls.mode === "require"))
    report("caFile", `is not looked at with mode ${tls.mode}: say verify-full, or verify-ca`);
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
  if (listener.listen.kind === "tcp" && listener.listen.port === 0) report("listen", "needs a port of its own with datapath: kernel");
  for (const [index, endpoint] of listener.upstream.endpoints.entries())
    if (endpoint.kind === "unix") cannot(`upstream.endpoints.${index}`, "a UNIX socket");
}

function checkUnique(config: AmbassadorConfig, root: Place): void {
  const names = new Map<string, number>();
  const taken: { address: Address; by: string }[] = [];
  const claim = (address: Address, by: string, place: Place): void => {
    const other = taken.find((one) => collide(one.address, address));
    if (other === undefined) taken.push({ address, by });
    else place.at("listen").report(`${formatAddress(address)} is taken by ${other.by} (${formatAddress(other.address)})`);
  };
  attempt(() => {
    if (config.admin !== undefined) claim(config.admin.listen, "admin", root.at("admin"));
  });
  for (let index = 0; index < config.listeners.length; index += 1) {
    const place = root.at("listeners").at(index);
    attempt(() => {
      const name = config.listeners[index]?.name ?? "";
      const other = names.get(name);
      if (other === undefined) names.set(name, index);
      else place.at("name").report(`${JSON.stringify(name)} is the name of listeners[${other}] too: give each one of its own`);
    });
    attempt(() => {
      const listen = config.listeners[index]?.listen;
      if (listen !== undefined) claim(listen, `listeners[${index}]`, place);
    });
  }
}

/** Whether two sockets cannot listen there at once. A wildcard takes the port of every address of its family, `::` of both. */
function collide(a: Address, b: Address): boolean {
  if (a.kind === "unix" || b.kind === "unix") return a.kind === b.kind && formatAddress(a) === formatAddress(b);
  if (a.port !== b.port || a.port === 0) return false;
  return a.host === b.host || covers(a.host, b.host) || covers(b.host, a.host);
}

function covers(wildcard: string, host: string): boolean {
  return wildcard === "::" || (wildcard === "0.0.0.0" && isIP(host) === 4);
}

/** Whether a connection to `endpoint` arrives at the listener, as far as the text shows it. */
function leadsTo(endpoint: Address, listen: Address): boolean {
  if (endpoint.kind === "unix" || listen.kind === "unix")
    return endpoint.kind === listen.kind && formatAddress(endpoint) === formatAddress(listen);
  if (endpoint.port !== listen.port) return false;
  const isWildcard = listen.host === "::" || listen.host === "0.0.0.0";
  if (endpoint.host === "localhost") return isWildcard || isLoopback(listen.host);
  return endpoint.host === listen.host || (isWildcard && isLoopback(endpoint.host));
}

function attempt(check: () => void): void {
  try {
    check();
  } catch (cause) {
    if (cause !== unreadable) throw cause;
  }
}
